import { describe, PikoError } from '../errors.ts'
import { changing } from '../engine/refused-changes.ts'
import type { LimitStatus } from '../store/admission/limit-rows.ts'
import { optionsOf } from './call-options.ts'
import type { LimitFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'

/** `app.limits`: the rate limits that all nodes share, from `ctx.limit` and from `limiter` of `piko/data`. */
export class Limits {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /**
   * Lists the limits whose counts may still have an effect, by name.
   *
   * @param filter.limit default 100
   */
  async list(filter: LimitFilter = {}): Promise<LimitStatus[]> {
    const { limit = 100, after } = optionsOf('limits.list', filter)
    return this.#reach().store.rates.limits(limit, after)
  }

  /**
   * Resets the count of a limit, so that its whole rate is free immediately. Use it after a wrong rate was set, or when the called server
   * has reset its own count. For one span afterwards, that server may get up to twice the rate.
   *
   * @returns whether anything was counted
   * @throws PikoError `USAGE`, `CHANGE_REFUSED`
   */
  async reset(name: string): Promise<boolean> {
    const { store } = this.#reach()
    if (typeof name !== 'string' || name === '') {
      throw new PikoError('USAGE', `app.limits.reset got ${describe(name)}; expected the name of a limit`)
    }
    return changing(`what limit ${describe(name)} has counted`, 'piko_rate', () => store.rates.reset(name))
  }
}
