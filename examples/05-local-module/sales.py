"""A module of the program's own: what its tasks share."""

import csv
from dataclasses import dataclass


@dataclass(frozen=True)
class Sale:
    """One line of the data file."""

    shop: str
    amount: float


def read_sales(path):
    """Return the sales in a CSV file."""
    with path.open(newline="") as lines:
        return [Sale(line["shop"], float(line["amount"])) for line in csv.DictReader(lines)]


def by_shop(sales):
    """Return the sum of the amounts of each shop."""
    totals = {}
    for sale in sales:
        totals[sale.shop] = totals.get(sale.shop, 0.0) + sale.amount
    return totals
