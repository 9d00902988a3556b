import { AUDIT_OUTCOMES } from '../../store/access/access-tables.ts'
import type { AuditFilter, AuditRecord } from '../../store/access/audit-store.ts'
import { anything, aText, oneOf, type OptionChecks, wholeNumber } from '../../options.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'
import { readArguments } from '../arguments.ts'
import type { Reach } from '../reach.ts'

/** Which changes to list. */
export interface AuditQuery extends Omit<AuditFilter, 'from' | 'to'> {
  /** Changes that began at this instant or later. */
  readonly from?: InstantInput
  /** Changes that began before this instant. */
  readonly to?: InstantInput
}

const CHECKS: OptionChecks<AuditQuery> = {
  jobId: aText,
  verb: aText,
  actor: aText,
  outcome: oneOf(...AUDIT_OUTCOMES),
  from: anything,
  to: anything,
  before: wholeNumber(1),
  limit: wholeNumber(0),
}

/** `app.audit`: who changed what, when and why. */
export class Audit {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /**
   * Lists changes, newest first. For the next page, set `before` to the id of the last change. `[history] keep_audit` sets how long changes
   * are kept.
   *
   * @param filter.limit default 100
   * @throws PikoError `USAGE`
   * @example
   * const [last] = await app.audit.list({ jobId: 'sync_orders', verb: 'jobs.pause', limit: 1 })
   */
  async list(filter: AuditQuery = {}): Promise<AuditRecord[]> {
    const form = { call: 'app.audit.list', checks: CHECKS, example: "{ jobId: 'sync_orders' }" }
    const { from, to, ...rest } = readArguments<AuditQuery>(form, {}, filter)
    return this.#reach().store.audit.list({
      ...rest,
      ...(from !== undefined && { from: instantOf('from of app.audit.list', from) }),
      ...(to !== undefined && { to: instantOf('to of app.audit.list', to) }),
    })
  }
}
