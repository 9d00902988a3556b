import { PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { ItemAttempt } from './item-attempt.ts'
import type { ItemCommits } from './item-commits.ts'
import type { ItemActions } from './item-context.ts'

export interface ItemCallsParts {
  readonly commits: ItemCommits
}

/** The calls of an item's function that need the store. */
export class ItemCalls implements ItemActions {
  readonly #parts: ItemCallsParts

  constructor(parts: ItemCallsParts) {
    this.#parts = parts
  }

  async checkpoint(
    attempt: ItemAttempt,
    position: string,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
  ): Promise<void> {
    if (!attempt.live) return
    await this.#parts.commits.checkpoint(attempt, position, fn, attempt.live.signal)
  }

  lane(attempt: ItemAttempt): ReturnType<ItemActions['lane']> {
    return { name: attempt.item.lane.name, note: () => Promise.reject(missing('lane.note')) }
  }

  state(): ReturnType<ItemActions['state']> {
    return Promise.reject(missing('state'))
  }

  score(): void {}

  scores(): ReturnType<ItemActions['scores']> {
    return Promise.resolve(new Map())
  }
}

function missing(call: string): PikoError {
  return new PikoError('USAGE', `ctx.${call} is not available yet`)
}
