import { PikoError } from '../../errors.ts'
import type { StepStorage } from '../../engine/attempt/steps/run-steps.ts'
import { fromJson, toJson } from '../../json/json.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { NewStep } from '../../store/steps/new-step.ts'
import type { StepCommit, STORED_BY_ANOTHER } from '../../store/steps/commit-step.ts'
import type { StepStored } from '../../store/steps/add-steps.ts'
import type { StoredStep } from '../../store/steps/step-store.ts'

interface Kept {
  readonly isFinished: boolean
  readonly tries: number
  readonly sinceMs: number | undefined
  readonly result: string | null
}

/** The steps of one run of `runJob`, in memory. Time passes only while `ctx.until` would wait. */
export class MemorySteps implements StepStorage {
  readonly isInTransaction = false
  readonly #steps = new Map<string, Kept>()
  readonly #trx: () => SqlExecutor
  #nowMs = 0

  /**
   * @param earlier the results of earlier attempts, by name
   * @param trx returns the executor for steps with a transaction; throws if there is none
   */
  constructor(earlier: Readonly<Record<string, unknown>>, trx: () => SqlExecutor) {
    this.#trx = trx
    for (const [name, value] of Object.entries(earlier)) {
      const result = value === undefined ? null : toJson(value, `steps.${name}`)
      this.#steps.set(name, { isFinished: true, tries: 1, sinceMs: undefined, result })
    }
  }

  /** The results of all finished steps, by name. */
  get results(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.#steps].flatMap(([name, { isFinished, result }]) => (isFinished ? [[name, valueOf(result)]] : [])),
    )
  }

  get size(): number {
    return this.#steps.size
  }

  pass(ms: number): void {
    this.#nowMs += ms
  }

  add(steps: readonly NewStep[]): Promise<StepStored[]> {
    for (const step of steps) this.#keep(step)
    return Promise.resolve(steps.map(() => 'stored'))
  }

  async commit<T>({ fn, isWanted }: StepCommit<T>): Promise<T | typeof STORED_BY_ANOTHER> {
    const { value, step } = await fn(this.#trx())
    isWanted()
    this.#keep(step)
    return value
  }

  stored(_runId: number, name?: string): Promise<ReadonlyMap<string, StoredStep>> {
    const all = [...this.#steps].filter(([one]) => name === undefined || one === name)
    return Promise.resolve(
      new Map(
        all.map(([one, { isFinished, tries, sinceMs, result }]) => [
          one,
          {
            ...{ isFinished, tries },
            waitingSince: sinceMs === undefined ? undefined : new Date(sinceMs),
            waitedMs: sinceMs === undefined ? 0 : this.#nowMs - sinceMs,
            read: () => Promise.resolve({ value: valueOf(result) }),
          },
        ]),
      ),
    )
  }

  #keep({ name, isFinished, tries, waitingSince, result }: NewStep): void {
    const sinceMs = waitingSince === 'now' ? this.#nowMs : waitingSince?.getTime()
    this.#steps.set(name, { isFinished, tries, sinceMs, result })
  }
}

function valueOf(result: string | null): unknown {
  return result === null ? undefined : fromJson(result)
}

/** Creates the error for a call that needs a store. */
export function needsStore(call: string): PikoError {
  return new PikoError(
    'USAGE',
    `${call} needs a database, which runJob does not have; pass an executor as trx to runJob, or test the job with startTestApp`,
  )
}
