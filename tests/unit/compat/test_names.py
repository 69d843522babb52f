"""B8: every documented path and name of Graflow 0.1.9 is there, and importing them needs little."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

DOCUMENTED = {
    "graflow": "RetryPolicy TaskExecutionContext chain parallel task workflow __version__",
    "graflow.core.decorators": "task",
    "graflow.core.workflow": """workflow WorkflowContext get_current_workflow_context
        current_workflow_context require_workflow_context set_current_workflow_context
        clear_workflow_context""",
    "graflow.core.task": "Executable Task TaskWrapper ParallelGroup SequentialTask chain parallel",
    "graflow.core.context": """TaskExecutionContext ExecutionContext create_execution_context
        execute_with_cycles""",
    "graflow.core.engine": "WorkflowEngine",
    "graflow.core.graph": "TaskGraph",
    "graflow.core.handler": "TaskHandler TaskResult",
    "graflow.core.handlers.direct": "DirectTaskHandler",
    "graflow.core.handlers.docker": "DockerTaskHandler",
    "graflow.core.handlers.group_policy": """GroupExecutionPolicy StrictGroupPolicy
        BestEffortGroupPolicy CriticalGroupPolicy AtLeastNGroupPolicy canonicalize_group_policy
        resolve_group_policy""",
    "graflow.core.retry": "RetryPolicy RetryController",
    "graflow.core.cycle": "CycleController",
    "graflow.coordination.coordinator": "CoordinationBackend",
    "graflow.exceptions": """GraflowError GraflowRuntimeError CycleLimitExceededError
        RetryLimitExceededError TaskError GraphCompilationError DuplicateTaskError ConfigError
        ParallelGroupError GraflowWorkflowCanceledError as_runtime_error""",
    "graflow.channels.base": "Channel",
    "graflow.channels.memory_channel": "MemoryChannel",
    "graflow.channels.redis_channel": "RedisChannel",
    "graflow.channels.typed": "TypedChannel ChannelTypeRegistry",
    "graflow.channels.factory": "ChannelFactory",
    "graflow.channels.schemas": """TaskResultMessage TaskProgressMessage TaskErrorMessage
        WorkflowStateMessage DataTransferMessage CycleNotificationMessage""",
    "graflow.llm": "LLMAgent LLMClient extract_text make_message setup_langfuse_for_litellm",
    "graflow.llm.client": "LLMClient extract_text make_message setup_langfuse_for_litellm",
    "graflow.llm.agents": "LLMAgent PydanticLLMAgent AdkLLMAgent create_pydantic_ai_agent",
    "graflow.llm.agents.base": "LLMAgent",
    "graflow.llm.agents.adk_agent": "AdkLLMAgent",
    "graflow.llm.agents.types": "AgentResult AgentStep",
    "graflow.prompts.base": "PromptManager",
    "graflow.prompts.factory": "PromptManagerFactory",
    "graflow.prompts.yaml_manager": "YAMLPromptManager",
    "graflow.prompts.langfuse_manager": "LangfusePromptManager",
    "graflow.prompts.models": "PromptVersion TextPrompt ChatPrompt",
    "graflow.prompts.exceptions": """PromptError PromptNotFoundError PromptVersionNotFoundError
        PromptCompilationError PromptConfigurationError PromptTypeError""",
    "graflow.trace": "Tracer NoopTracer ConsoleTracer LangFuseTracer",
    "graflow.trace.base": "Tracer",
    "graflow.trace.noop": "NoopTracer",
    "graflow.trace.console": "ConsoleTracer",
    "graflow.trace.langfuse": "LangFuseTracer",
    "graflow.hitl.types": """FeedbackType FeedbackRequest FeedbackResponse
        FeedbackTimeoutError""",
    "graflow.hitl.manager": "FeedbackManager",
    "graflow.hitl.handler": "FeedbackHandler WebhookFeedbackHandler SlackFeedbackHandler",
    "graflow.hitl.backend.base": "FeedbackBackend",
    "graflow.hitl.backend.filesystem": "FilesystemFeedbackBackend",
    "graflow.hitl.backend.redis": "RedisFeedbackBackend",
    "graflow.utils.graph": """build_graph draw_ascii draw_mermaid draw_dot draw_png
        visualize_dependencies show_graph_info draw_task_graph""",
}

MEMBERS = {
    "graflow.core.workflow.WorkflowContext": """execute add_node add_edge rename_node
        register_llm_agent set_redis_client get_redis_client show_info visualize_dependencies clear
        get_next_group_name""",
    "graflow.core.task.TaskWrapper": "task_id run __call__ __rshift__ __lshift__ __or__",
    "graflow.core.task.ParallelGroup": "tasks task_id handler_type set_group_name with_execution",
    "graflow.core.task.SequentialTask": "tasks leftmost rightmost task_id __len__ __iter__",
    "graflow.core.context.TaskExecutionContext": """task_id session_id trace_id graph start_time
        cycle_count max_cycles retry_count max_retries can_iterate elapsed_time next_task
        next_iteration terminate_workflow cancel_workflow get_channel get_typed_channel get_result
        llm_client prompt_manager get_llm_agent register_llm_agent set_local_data get_local_data
        execution_context request_feedback request_approval request_text_input request_selection
        checkpoint""",
    "graflow.hitl.manager.FeedbackManager": """request_feedback provide_feedback
        list_pending_requests list_requests get_request get_response store_request
        store_response""",
    "graflow.hitl.handler.FeedbackHandler": """on_request_created on_response_received
        on_request_timeout""",
    "graflow.hitl.backend.base.FeedbackBackend": """store_request get_request store_response
        get_response list_pending_requests list_requests publish start_listener close""",
    "graflow.hitl.types.FeedbackRequest": "to_dict from_dict",
    "graflow.hitl.types.FeedbackResponse": "to_dict from_dict",
    "graflow.core.context.ExecutionContext": """create session_id trace_id steps channel
        completed_tasks llm_client prompt_manager ctrl_message execute set_result get_result
        get_channel is_completed register_llm_agent get_llm_agent feedback_manager""",
    "graflow.core.engine.WorkflowEngine": "execute register_handler execute_with_cycles",
    "graflow.core.graph.TaskGraph": """add_node add_edge get_node has_node nodes edges get_edges
        get_start_nodes successors predecessors get_parallel_group_members detect_cycles
        rename_node clear nx_graph __str__""",
    "graflow.core.handler.TaskHandler": "get_name execute_task",
    "graflow.core.handlers.group_policy.GroupExecutionPolicy": "get_name on_group_finished",
    "graflow.core.retry.RetryPolicy": "get_delay",
    "graflow.llm.client.LLMClient": "completion completion_text",
    "graflow.llm.agents.base.LLMAgent": "run run_async name tools metadata",
    "graflow.prompts.base.PromptManager": "get_prompt get_text_prompt get_chat_prompt",
    "graflow.trace.base.Tracer": """on_workflow_start on_workflow_end on_task_queued on_task_start
        on_task_end on_parallel_group_start on_parallel_group_end on_dynamic_task_added
        attach_to_trace clone flush shutdown trace_start trace_end span_start span_end event
        get_runtime_graph get_execution_order export_runtime_graph""",
}

SIGNATURES = {
    "graflow.core.decorators.task": """id_or_func id inject_context inject_llm_client
        inject_llm_agent handler resolve_keyword_args max_cycles max_retries retry_policy""",
    "graflow.core.workflow.workflow": "name tracer prompt_manager",
    "graflow.core.workflow.WorkflowContext": "name tracer prompt_manager",
    "graflow.core.workflow.WorkflowContext.execute": """self start_node max_steps ret_context
        initial_channel""",
    "graflow.core.task.TaskWrapper": """task_id func inject_context inject_llm_client
        inject_llm_agent register_to_context handler_type resolve_keyword_args max_cycles
        max_retries retry_policy""",
    "graflow.core.task.Task": "task_id register_to_context",
    "graflow.core.task.ParallelGroup": "tasks name",
    "graflow.core.task.ParallelGroup.with_execution": "self backend backend_config policy",
    "graflow.core.context.ExecutionContext": """graph start_node max_steps default_max_cycles
        default_max_retries steps channel_backend config parent_context session_id trace_id tracer
        llm_client prompt_manager""",
    "graflow.core.context.ExecutionContext.create": """graph start_node max_steps
        default_max_cycles default_max_retries channel_backend config tracer llm_client
        prompt_manager""",
    "graflow.core.context.create_execution_context": "start_node max_steps tracer",
    "graflow.core.context.execute_with_cycles": "graph start_node max_steps",
    "graflow.core.engine.WorkflowEngine.execute": "self context start_task_id",
    "graflow.core.graph.TaskGraph.add_node": "self task task_id skip_if_exists",
    "graflow.core.handler.TaskResult": "task_id success error error_message duration timestamp",
    "graflow.core.handlers.docker.DockerTaskHandler": """image auto_remove environment volumes
        device_requests auto_mount_graflow""",
    "graflow.core.retry.RetryPolicy": """max_retries initial_interval backoff_factor max_interval
        jitter""",
    "graflow.core.context.TaskExecutionContext.request_feedback": """self feedback_type prompt
        options metadata timeout channel_key write_to_channel handler""",
    "graflow.core.context.TaskExecutionContext.request_approval": """self prompt metadata timeout
        channel_key write_to_channel""",
    "graflow.core.context.TaskExecutionContext.request_text_input": """self prompt metadata timeout
        channel_key write_to_channel""",
    "graflow.core.context.TaskExecutionContext.request_selection": """self prompt options metadata
        timeout channel_key write_to_channel""",
    "graflow.hitl.types.FeedbackRequest": """feedback_id task_id session_id feedback_type prompt
        options metadata created_at timeout status channel_key write_to_channel""",
    "graflow.hitl.types.FeedbackResponse": """feedback_id response_type approved reason text
        selected selected_multiple custom_data responded_at responded_by""",
    "graflow.hitl.types.FeedbackTimeoutError": "feedback_id timeout",
    "graflow.hitl.manager.FeedbackManager": "backend backend_config channel_manager",
    "graflow.hitl.manager.FeedbackManager.request_feedback": """self task_id session_id
        feedback_type prompt options metadata timeout channel_key write_to_channel feedback_id
        handler""",
    "graflow.hitl.manager.FeedbackManager.provide_feedback": "self feedback_id response",
    "graflow.hitl.manager.FeedbackManager.list_requests": "self session_id n_recent",
    "graflow.hitl.handler.WebhookFeedbackHandler": "webhook_url headers timeout",
    "graflow.hitl.handler.SlackFeedbackHandler": "webhook_url channel feedback_ui_url",
    "graflow.hitl.backend.filesystem.FilesystemFeedbackBackend": "data_dir",
    "graflow.hitl.backend.redis.RedisFeedbackBackend": """redis_client host port db
        expiration_days""",
    "graflow.exceptions.GraflowRuntimeError": "message cause",
    "graflow.exceptions.ConfigError": "message cause",
    "graflow.exceptions.TaskError": "task_id message cause",
    "graflow.exceptions.DuplicateTaskError": "task_id",
    "graflow.exceptions.CycleLimitExceededError": "task_id cycle_count max_cycles",
    "graflow.exceptions.RetryLimitExceededError": "task_id retry_count max_retries last_error",
    "graflow.exceptions.ParallelGroupError": "message group_id failed_tasks successful_tasks",
    "graflow.exceptions.GraflowWorkflowCanceledError": "message task_id",
    "graflow.llm.client.LLMClient": "model enable_tracing default_params",
    "graflow.llm.client.LLMClient.completion": """self messages model generation_name tags
        params""",
    "graflow.llm.agents.AdkLLMAgent": """adk_agent_or_app app_name session_service enable_tracing
        enable_caching user_id""",
    "graflow.llm.agents.PydanticLLMAgent": "agent name enable_tracing",
    "graflow.llm.agents.create_pydantic_ai_agent": """model output_type instructions system_prompt
        name instrument kwargs""",
    "graflow.prompts.yaml_manager.YAMLPromptManager": "prompts_dir cache_ttl cache_maxsize",
    "graflow.prompts.base.PromptManager.get_prompt": "self name version label cache_ttl_seconds",
    "graflow.trace.NoopTracer": "enable_runtime_graph",
    "graflow.trace.ConsoleTracer": "enable_runtime_graph enable_colors show_metadata indent_size",
    "graflow.trace.LangFuseTracer": "public_key secret_key host enable_runtime_graph enabled",
    "graflow.utils.graph.build_graph": "start_node context",
    "graflow.utils.graph.draw_mermaid": "graph title with_styles node_colors wrap_label_n_words",
    "graflow.utils.graph.draw_png": "graph output_path node_labels node_colors",
}


def found(path):
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            thing = getattr(thing, name)
        return thing
    raise LookupError(path)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_b8_every_documented_name_can_be_imported_from_its_path(module):
    for name in DOCUMENTED[module].split():
        assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("path", MEMBERS)
def test_b8_every_documented_member_is_there(path):
    missing = [name for name in MEMBERS[path].split() if not hasattr(found(path), name)]
    assert not missing


@pytest.mark.parametrize("path", SIGNATURES)
def test_b8_parameters_have_graflows_names_and_order(path):
    wanted = SIGNATURES[path].split()
    assert list(inspect.signature(found(path)).parameters)[: len(wanted)] == wanted


def test_importing_every_path_brings_in_no_optional_package_and_nothing_heavy():
    heavy = [
        "litellm",
        "jinja2",
        "yaml",
        "networkx",
        "matplotlib",
        "langfuse",
        "pydantic",
        "pydantic_ai",
        "google",
        "docker",
        "redis",
        "boto3",
        "kubernetes",
        "dotenv",
    ]
    code = "import sys\n" + "\n".join(f"import {module}" for module in DOCUMENTED)
    code += f"\nprint(*sorted(set({heavy!r}) & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_what_has_no_place_here_says_why():
    from graflow.core.context import ExecutionContext
    from graflow.core.graph import TaskGraph
    from graflow.utils import graph

    context = ExecutionContext.create(TaskGraph())
    with pytest.raises(
        AttributeError, match=r"'task_queue': what runs next follows from the edges"
    ):
        _ = context.task_queue
    with pytest.raises(AttributeError, match="'next_task': it is asked for by a running task"):
        _ = context.next_task
    with pytest.raises(AttributeError, match="'create_branch_context': a branch is part"):
        _ = context.create_branch_context
    with pytest.raises(AttributeError, match=r"no attribute 'nope'$"):
        _ = context.nope
    with pytest.raises(AttributeError, match=r"draw_mermaid_png.*server on the internet"):
        _ = graph.draw_mermaid_png
