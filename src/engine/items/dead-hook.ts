import { safely } from '../../errors-read.ts'
import { toError } from '../../errors.ts'
import { settleFailure } from '../../item/settle-item.ts'
import type { DeadContext, DeadItem } from '../../job/items/item-kind.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { Outcome } from '../../run/run.ts'
import type { RunContext } from '../attempt/run-context.ts'
import type { ItemAttempt } from './item-attempt.ts'
import { itemOf } from './item-context.ts'

/**
 * Creates a job whose handler calls the function `dead` of an item's kind, so that a pipeline can run it with its own resources and sinks.
 */
export function hookJob(attempt: ItemAttempt, failed: Outcome): JobDefinition {
  const { job, kind } = attempt
  const error = 'error' in failed ? failed.error : toError(failed.kind)
  const handler: JobDefinition['handler'] = async (base) => {
    await kind.kind.dead?.(deadItem(attempt, error), deadContext(base as never))
  }
  return { ...job, spec: { ...job.spec, output: undefined }, policy: { ...job.policy, items: undefined }, handler }
}

function deadItem(attempt: ItemAttempt, error: Error): DeadItem {
  const { countedTries, keptBefore, kind } = attempt
  const given = attempt.kept
  const kept = typeof given === 'function' ? safely(given, undefined) : given
  const { class: name, tries: all } = settleFailure(error, countedTries, kind.budgets, 0, 0)
  return {
    ...itemOf(attempt),
    ...{ class: name, error, tries: all },
    kept: kept === undefined ? keptBefore : (kept ?? undefined),
  }
}

/** Creates the context for `dead`: only the parts of a run's context that do not change the run or the item. */
function deadContext(base: RunContext): DeadContext {
  const { runId, jobId, attempt, fence, scheduledTime, window, config, input, resources, sinks } = base
  return {
    ...{ runId, jobId, attempt, fence, scheduledTime, window, config, input, resources, sinks },
    get signal() {
      return base.signal
    },
    get log() {
      return base.log
    },
    get limit() {
      return base.limit
    },
    get async() {
      return base.async
    },
    shared: (definition) => base.shared(definition),
    cache: (definition) => base.cache(definition),
    lock: (name, options) => base.lock(name, options),
    map: (values, fn, options) => base.map(values, fn, options),
  }
}
