//! What hostile templates do to a VM, one file a behaviour, and what comes of each.
//!
//! Owns the list of the cases, which is checked against the folders in both directions, and how one is run: in a fresh
//! VM, beside a template that has done nothing. Leaves to `case` how a case file is read; the same files run through the
//! service, with a neighbour on their thread, in the tests of `template-worker`.
//!
//! After each case the VM is either broken, with the reason that belongs to the verdict, or it is as before: nothing of the
//! case runs on that was ended, and the innocent template finds its own globals and its library as it left them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod case;
#[path = "../behaviour/vm.rs"]
#[expect(dead_code, reason = "shared with the tests of behaviour")]
mod vm;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use case::{Case, Expected};
use khronos::{
    BrokenReason, Bundle, BytecodeCache, Completion, ExecutionLimits, IsolateId, KhronosValue, Program,
    RuntimeError, RuntimeLimits, Verdict, VmState,
};
use mlua::Value;
use vm::Vm;

/// CPU time that the host and a build without optimisation may take for themselves.
const SLOW_MACHINE: Duration = Duration::from_millis(500);

/// One test a case, named as its file.
macro_rules! cases {
    ($($folder:ident { $($name:ident)* })*) => {
        $(mod $folder { $(#[test] fn $name() { crate::run(concat!(stringify!($folder), "/", stringify!($name))); })* })*
        const CASES: &[&str] = &[$($(concat!(stringify!($folder), "/", stringify!($name))),*),*];
    };
}

cases! {
    costs {
        a_chain_of_two_hundred_modules
        a_million_threads_one_after_another
        a_million_timers_that_are_cancelled
        a_million_timers_that_fire
        a_thousand_timers_at_one_instant
        a_thread_that_cancels_itself
        cancelling_everything_from_everywhere
        errors_at_the_bottom_of_the_deepest_stack_for_nobody
        errors_for_nobody_in_a_loop
        fifty_thousand_log_lines
        globals_of_a_thousand_events
        handlers_that_replace_themselves
        more_deferred_threads_than_allowed
        more_timers_than_allowed
        more_waiting_calls_than_allowed
        require_of_a_module_that_fails_again_and_again
        sleepers_that_are_resumed_early
        times_that_are_no_times
        tracebacks_of_the_deepest_stack
    }
    crashes {
        a_log_of_what_cannot_be_printed
        a_result_nested_ten_thousand_deep
        a_result_that_contains_itself
        an_argument_nested_ten_thousand_deep
        an_error_at_the_bottom_of_the_deepest_stack
        an_error_object_nested_ten_thousand_deep
        an_error_object_that_contains_itself
        arguments_of_every_type
        closing_and_cancelling_in_every_state
        error_objects_of_every_type
        library_functions_with_every_odd_argument
        more_locals_than_luau_has_registers
        table_move_across_the_end_of_the_integers
        table_move_with_every_odd_number
    }
    ends {
        a_chunk_that_spins_before_its_handler_is_kept
        a_dead_coroutine_that_is_resumed_in_a_loop
        a_function_that_calls_itself_twice
        a_generator_inside_a_generator_for_each_value
        a_loop_that_changes_the_table_that_it_walks
        a_loop_with_a_step_of_nothing
        a_main_thread_that_others_keep_alive
        a_tree_of_spawned_tasks_ends_with_its_execution
        a_wait_that_is_longer_than_any_event
        a_yield_inside_pcall_that_nobody_answers
        a_yield_that_nobody_answers
        an_end_leaves_no_thread_to_a_later_event
        an_iterator_that_never_ends
        coroutines_inside_a_gsub_callback
        coroutines_that_are_closed_in_a_loop
        coroutines_that_hand_on_to_each_other
        deferring_for_ever
        delays_that_start_the_next
        error_in_the_handler_of_an_error_in_a_handler
        errors_with_long_texts
        handlers_that_spin_are_ended_at_every_event
        nothing_but_errors
        repeat_and_numeric_loops
        rethrown_for_ever
        short_calls_of_gsub_callbacks_without_end
        sorts_inside_sorts
        spin
        spin_at_the_bottom_of_the_deepest_stack
        spin_between_answers_of_the_host
        spin_in_a_call_metamethod
        spin_in_a_deferred_task
        spin_in_a_delayed_task
        spin_in_a_function_of_a_module
        spin_in_a_gsub_callback
        spin_in_a_required_module
        spin_in_a_sort_comparator
        spin_in_a_spawned_task
        spin_in_a_wrapped_coroutine
        spin_in_arithmetic
        spin_in_comparisons
        spin_in_concat_and_len
        spin_in_index
        spin_in_iter
        spin_in_newindex
        spin_in_pcall
        spin_in_ten_nested_coroutines
        spin_in_the_handler_of_xpcall
        spin_in_the_tostring_of_an_error_object
        spin_in_the_tostring_of_what_is_printed
        spin_in_tostring
        spin_in_xpcall
        tail_calls_without_end
        tasks_that_outlive_a_returned_event_are_ended_with_its_cpu_time
        tasks_that_outlive_a_returned_event_are_ended_with_its_wall_clock
        threads_that_restart_each_other
        waiting_for_ever
        waiting_for_ever_in_a_thousand_threads
        waiting_for_the_host_without_end
    }
    hangs {
        a_balanced_match_that_never_closes
        a_comparison_of_megabytes_without_end
        a_concat_of_a_range_that_is_not_there
        a_date_of_megabytes
        a_format_of_megabytes
        a_format_with_the_widest_fields
        a_gmatch_that_looks_through_everything_each_time
        a_gsub_of_every_balanced_match
        a_large_table_that_was_emptied
        a_large_text_after_many_that_hash_alike
        a_pack_of_megabytes
        a_packsize_of_megabytes
        a_pattern_anchored_at_the_end
        a_pattern_of_megabytes
        a_pattern_that_backtracks
        a_plain_find_with_a_long_prefix
        a_rep_of_nothing
        a_result_whose_keys_all_hash_alike
        a_set_of_megabytes_in_a_pattern
        a_sort_of_half_a_million
        a_sort_of_half_a_million_with_a_comparator
        a_sort_of_texts_with_long_equal_beginnings
        a_sort_with_a_comparator_that_contradicts_itself
        a_source_of_a_megabyte_is_not_loaded_by_a_script
        a_split_at_a_long_prefix
        a_split_into_single_characters
        a_split_into_texts_that_all_hash_alike
        an_unpack_of_megabytes
        arithmetic_on_long_numerals_in_a_row
        back_references_to_megabytes
        buffers_at_the_memory_limit
        comparisons_of_long_texts_in_a_row
        concatenations_in_a_row
        finds_of_a_long_prefix_without_end
        finds_of_a_long_prefix_without_the_plain_flag
        more_results_than_a_stack_holds
        patterns_that_backtrack_in_pcall
        table_move_of_a_million_again_and_again
        table_move_of_two_billion
        texts_that_all_hash_alike_come_and_go
    }
    memory {
        a_buffer_larger_than_everything
        a_buffer_of_an_impossible_size
        a_concat_of_more_than_there_is
        a_format_that_multiplies
        a_gsub_that_multiplies
        a_hundred_thousand_coroutines
        a_log_line_of_a_shared_text_many_times
        a_million_short_texts
        a_repeated_text_larger_than_everything
        a_result_as_large_as_the_vm
        a_result_of_many_parts
        a_result_of_two_to_the_thirtieth_nodes
        a_stack_full_of_values
        a_table_created_larger_than_everything
        a_table_created_with_an_impossible_size
        a_table_that_grows
        a_table_that_grows_in_its_hash_part
        a_table_that_grows_in_pcall
        a_text_that_doubles
        a_text_that_doubles_in_pcall
        an_argument_as_large_as_the_vm
        an_argument_of_two_to_the_thirtieth_nodes
        an_error_as_large_as_the_vm
        an_error_of_two_to_the_thirtieth_nodes
        an_interpolation_that_multiplies
        answers_of_the_host_that_pile_up
        buffers
        caught_by_a_handler_that_takes_more
        caught_in_a_coroutine
        caught_once_and_returned
        closures_with_upvalues
        deep_threads_that_end_in_a_full_heap
        ended_threads_that_a_global_still_holds
        errors_as_large_as_the_vm_for_nobody
        everything_tried_in_a_full_heap
        fifteen_mebibytes_kept_while_a_table_grows_and_is_dropped
        fifteen_mebibytes_kept_while_answers_of_the_host_come_and_go
        fifteen_mebibytes_kept_while_buffers_come_and_go
        fifteen_mebibytes_kept_while_coroutines_come_and_go
        fifteen_mebibytes_kept_while_tables_come_and_go
        fifteen_mebibytes_kept_while_texts_come_and_go
        garbage_of_one_event_does_not_fail_the_next
        in_a_gsub_callback
        in_a_metamethod
        in_a_required_module
        in_a_sort_comparator
        in_a_spawned_task
        log_lines_as_large_as_the_vm
        many_arguments_each_as_large_as_allowed
        repeated_texts_of_impossible_sizes
        several_arguments_each_as_large_as_allowed
        several_results_each_as_large_as_allowed
        several_results_of_as_many_parts_as_allowed
        the_deepest_stacks_kept
        weak_tables_keep_nothing
        what_an_ended_event_held_is_free_for_the_next
    }
    recursion {
        a_chain_of_index_tables
        a_comparator_that_sorts
        an_index_that_is_itself
        blocks
        caught_and_tried_again
        coroutines_in_coroutines
        coroutines_that_take_their_time
        errors_while_an_error_is_handled
        gsub_in_its_callback
        metamethods
        parentheses
        pcall_inside_pcall
        pcall_of_pcall
        require_in_a_coroutine_that_waits_for_itself
        require_of_itself
        require_of_the_entry
        spawning_itself
        with_many_arguments
        without_end
        wrapped_coroutines
        xpcall_with_itself
    }
    secrets {
        a_global_of_another_template
        a_library_function_as_a_metamethod
        a_shared_global_cannot_be_replaced
        addresses
        addresses_in_the_log
        frozen_handlers_and_returned_metatables
        functions_of_the_runtime_called_by_hand
        functions_through_debug_info
        garbage_collection_only_counts
        globals_that_are_left_behind
        metatables_of_everything
        require_of_what_is_not_in_the_template
        the_clock_of_the_process
        the_context_is_read_only
        the_event_is_frozen_to_its_bottom
        the_metatable_of_texts
        the_own_globals_frozen
        the_standard_library_is_read_only
        the_thread_of_another_event
        what_escapes_is_gone
    }
}

#[test]
fn every_case_file_is_a_test() {
    let mut listed = CASES.to_vec();
    listed.sort_unstable();
    assert_eq!(case::names(&folder()), listed, "left: files, right: the list in this file");
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
}

/// Runs for every event; fails if anything that it relies on was changed since the last one.
const INNOCENT: &str = r#"
    local libraries = {string, table, math, coroutine, task, bit32, utf8, buffer, os, debug, vector}
    local known = {}
    for at, library in libraries do
        known[at] = table.clone(library)
    end
    mine, events = {1, 2, 3}, 0
    return function(event)
        events += 1
        for at, library in libraries do
            for name, member in library do
                assert(known[at][name] == member or name == "nan", name)
            end
            for name in known[at] do
                assert(library[name] ~= nil, name)
            end
        end
        assert(#mine == 3 and left_behind == nil and getmetatable(_G) == false and type(pcall) == "function")
        assert(("x"):rep(3) == "xxx" and event.list[2] == 2)
        return events
    end
"#;

fn run(name: &str) {
    let case = Case::read(&folder(), name);
    let limits = case.limits;
    let vm = Vm::with_limits(RuntimeLimits {
        memory: limits.memory,
        threads: limits.threads,
        slice: limits.slice,
        non_yieldable: limits.non_yieldable,
        ..RuntimeLimits::default()
    });
    let innocent = vm.isolate(&[("init.luau", INNOCENT)]);
    assert_eq!(see(&ask(&vm, innocent).unwrap()), Expected::Returns(1.into()));
    let program = match compile(&case) {
        Ok(program) => program,
        Err(error) => return assert_expected(&case, &vm, &Expected::DoesNotCompile(error)),
    };
    let isolate = vm.runtime.create_isolate("hostile", program).unwrap();
    let mut seen = Expected::Broken("it never ran".to_owned());
    for _ in 0..case.repeat {
        seen = run_once(&case, &vm, isolate);
        if seen.breaks_the_vm() {
            break;
        }
    }
    for part in &case.logs {
        assert!(
            vm.logged().iter().any(|line| line.contains(part)),
            "{name}: no {part:?} in {:#?}",
            vm.logged()
        );
    }
    match vm.runtime.state() {
        VmState::Broken(reason) => {
            assert!(belongs(&reason, &seen, &case), "{name}: {seen:?} broke the VM: {reason}")
        }
        state => {
            assert!(!seen.breaks_the_vm(), "{name}: {seen:?}, and the VM is {state:?}");
            let second = ask(&vm, innocent).map(|done| see(&done));
            assert_eq!(
                second.ok(),
                Some(Expected::Returns(2.into())),
                "{name}: the innocent template's next event"
            );
        }
    }
    let mut closing = vm.runtime.close();
    let mut gone = false;
    while !gone {
        let before = cpu_time();
        gone = closing.step(Instant::now());
        let step = cpu_time() - before;
        assert!(step <= SLOW_MACHINE, "{name}: a step of closing the VM took {step:?} of CPU time");
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// One event for the hostile template.
fn run_once(case: &Case, vm: &Vm, isolate: IsolateId) -> Expected {
    let limits = ExecutionLimits { cpu: case.limits.cpu, wall_clock: case.limits.wall };
    let before = vm.slices.get();
    vm.most_slices.set(before + case.slices);
    let done = match dispatch(vm, isolate, limits) {
        Ok(done) => done,
        Err(error) => panic!("{}: it did not start: {error:?}", case.name),
    };
    let seen = see(&done);
    assert_expected(case, vm, &seen);
    // What cannot be paused comes on top, and may come twice: before a slice is over and after.
    let most = limits.cpu + 2 * case.limits.non_yieldable + SLOW_MACHINE;
    assert!(done.cpu <= most, "{}: {:?} of CPU time, and at most {most:?} would do", case.name, done.cpu);
    if matches!(seen, Expected::LimitExceeded(_)) {
        let (lines, executions) = (vm.logged().len(), vm.runtime.executions());
        assert_eq!(executions, 0, "{}: something of it runs on", case.name);
        for _ in 0..10 {
            vm.runtime.run_slice();
        }
        assert_eq!(
            vm.logged().len(),
            lines,
            "{}: it still says something: {:?}",
            case.name,
            vm.logged().last()
        );
    } else {
        vm.drain();
    }
    vm.most_slices.set(usize::MAX);
    seen
}

fn assert_expected(case: &Case, vm: &Vm, seen: &Expected) {
    let fine = case.expected.iter().any(|expected| expected.allows(seen));
    let (name, slices) = (&case.name, vm.slices.get());
    assert!(
        fine,
        "{name}: expected {:?}, saw {seen:?} after {slices} slices, and {:?}",
        case.expected,
        vm.logged()
    );
}

/// Whether a VM may break for `reason` when an execution ends as `seen`.
fn belongs(reason: &BrokenReason, seen: &Expected, case: &Case) -> bool {
    let Expected::LimitExceeded(limit) = seen else { return false };
    match reason {
        BrokenReason::OutOfMemory { limit: bytes } => limit == "memory" && *bytes == case.limits.memory,
        BrokenReason::KilledInNative { limit: time } => {
            limit == "non_yieldable_time" && *time == case.limits.non_yieldable
        }
        _ => false,
    }
}

fn compile(case: &Case) -> Result<Program, String> {
    let bundle = Bundle::new(case.files.iter().cloned()).map_err(|error| error.to_string())?;
    BytecodeCache::default().compile(&bundle).map_err(|errors| errors[0].to_string())
}

fn ask(vm: &Vm, isolate: IsolateId) -> Result<Completion, RuntimeError> {
    dispatch(vm, isolate, ExecutionLimits { cpu: Duration::from_secs(5), ..ExecutionLimits::default() })
}

/// An event with something in it, and a `ctx` with a log and two functions of a host that says everything again.
fn dispatch(vm: &Vm, isolate: IsolateId, limits: ExecutionLimits) -> Result<Completion, RuntimeError> {
    let runtime = &vm.runtime;
    let event = runtime.decode_json(r#"{"name": "TEST", "text": "hello", "list": [1, 2, 3], "none": []}"#)?;
    let fetch = runtime.create_async_function("fetch", |mut args, reply| {
        reply.ok(if args.is_empty() { KhronosValue::Null } else { args.swap_remove(0) });
    });
    let echo = runtime.create_function(|_, text: mlua::LuaString| Ok(text));
    let log = runtime.create_logger(isolate)?;
    let ctx = runtime.with_lua(|lua| lua.create_table().map_err(RuntimeError::CreateValue))??;
    let members =
        [("fetch", Value::Function(fetch?)), ("echo", Value::Function(echo?)), ("log", Value::Table(log))];
    for (name, member) in members {
        ctx.raw_set(name, member).map_err(RuntimeError::CreateValue)?;
    }
    ctx.set_readonly(true);
    let id = runtime.start(isolate, "TEST", &event, &Value::Table(ctx), limits)?;
    Ok(vm.finish(id))
}

fn see(completion: &Completion) -> Expected {
    match &completion.verdict {
        Verdict::Returned(value) => Expected::Returns(serde_json::to_value(value).unwrap()),
        Verdict::Failed(error) => Expected::Error(error.message.clone()),
        Verdict::LimitExceeded { limit, .. } => {
            assert!(limit.to_string().starts_with("limit exceeded: "), "{limit}");
            Expected::LimitExceeded(limit.name().to_owned())
        }
        Verdict::Broken(reason) => Expected::Broken(reason.to_string()),
    }
}
