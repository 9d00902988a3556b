import { setImmediate } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Claim } from '../../../run/run.ts'
import { admit, withoutLimited } from '../../admission/admission.ts'
import { note, runGroups } from '../../events/notes.ts'
import type { Database } from '../../connection/database.ts'
import type { Dialect } from '../../connection/dialect.ts'
import type { Tables } from '../../tables.ts'
import { type BrokenRow, readEach } from '../../values/broken-row.ts'
import { claimOf, type ClaimRow } from '../run-row.ts'
import type { ClaimRequest, ClaimResult } from './claim-request.ts'
import { ClaimSpread } from './claim-spread.ts'
import { lockDue, lookForDue } from './lock-due.ts'
import { SetAsideRuns } from './set-aside-runs.ts'
import { takeRuns } from './take-runs.ts'

/** How many times a claim is tried on a server without SKIP LOCKED. There, other nodes may take all runs that the claim has found. */
const MAX_OVERTAKEN = 20

/** Takes due runs from the queue. */
export class RunClaims {
  readonly #database: Database
  readonly #spread = new ClaimSpread()
  readonly #aside: SetAsideRuns

  constructor(database: Database) {
    this.#database = database
    this.#aside = new SetAsideRuns(database)
  }

  async look(
    among: Pick<ClaimRequest, 'only' | 'except' | 'ids'> = {},
  ): Promise<{ readonly isAnyDue: boolean; readonly now: Date }> {
    await this.#aside.refresh()
    return lookForDue(this.#database.db, this.#database.dialect, { ...among, without: this.#aside.ids })
  }

  async claim(request: ClaimRequest): Promise<ClaimResult> {
    await this.#aside.refresh()
    for (let tries = 1; ; tries++) {
      try {
        const { isOvertaken, ...result } = await this.#spread.claim((share) =>
          this.#database.transaction((trx) =>
            this.#claim(trx, { ...request, share: share(), without: this.#aside.ids }),
          ),
        )
        if (!isOvertaken || tries >= MAX_OVERTAKEN) return result
      } catch (thrown) {
        // Nothing was claimed. The next claim skips these unreadable rows.
        if (!(thrown instanceof BrokenRuns) || this.#aside.isFull) throw thrown
        this.#aside.add(thrown.rows)
        return { claims: [], blocked: [], broken: thrown.rows }
      }
    }
  }

  async #claim(
    trx: Transaction<Tables>,
    request: ClaimRequest,
  ): Promise<ClaimResult & { readonly isOvertaken: boolean }> {
    const { dialect } = this.#database
    const found = await lockDue(trx, dialect, request)
    const { rows, leftPriority } = request.early ? withoutLimited(found, request.limits) : { rows: found }
    const { monotonic = () => performance.now(), limits } = request
    const { admitted, blocked, places, ...rest } = await admit(trx, dialect, rows, limits, monotonic)
    const refused = rest.refused.length > 0 ? rest.refused : undefined
    if (admitted.length === 0) return { claims: [], blocked, leftPriority, refused, isOvertaken: false }
    const ids = admitted.map((row) => row.id)
    const taking = takeRuns(trx, dialect, request, ids)
    // Reads the rows while the server works on the update. On the next turn of the event loop, the statement of the update has already been
    // sent.
    const reading = setImmediate().then(() =>
      claimsFrom(dialect, admitted, (row) => claimOf(row, dialect, places.get(row.id))),
    )
    const [taken, read] = await Promise.all([taking, reading])
    const claims = taken ? read.filter(({ runId }) => taken.has(runId)) : read
    note(trx, () => runGroups(claims, 'running', request.nodeId))
    return { claims, blocked, leftPriority, refused, isOvertaken: claims.length === 0 }
  }
}

class BrokenRuns extends Error {
  readonly rows: readonly BrokenRow[]

  constructor(rows: readonly BrokenRow[]) {
    super('rows of due runs are broken')
    this.rows = rows
  }
}

function claimsFrom(dialect: Dialect, rows: readonly ClaimRow[], read: (row: ClaimRow) => Claim): readonly Claim[] {
  try {
    return rows.map(read)
  } catch {
    const { broken } = readEach(dialect, 'piko_run', rows, read)
    throw new BrokenRuns(broken)
  }
}
