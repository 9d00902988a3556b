import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { zoneOfJob } from '../../engine/planning/stored-job.ts'
import { PikoError } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { migrationStatus } from '../../store/migration/migrate.ts'
import type { ProofWindow, TimeRange } from '../../store/proof/proof-store.ts'
import type { Store } from '../../store/store.ts'
import { WINDOW_STATES, type WindowState } from '../../store/tables.ts'
import { FIRST_INSTANT_MS, LAST_INSTANT_MS } from '../../time/instant.ts'
import { momentOf } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import type { Certificate, ProofRange } from './certificate.ts'
import { Findings } from './findings.ts'
import { PageSize } from './page-size.ts'
import { type ProofEntry, TableProof } from './proof-tables.ts'
import { suspectsOf, type Suspects } from './suspects.ts'

const UNFINISHED: ReadonlySet<WindowState> = new Set(['failed', 'cancelled', 'stale'])
const DONE: ReadonlySet<WindowState> = new Set(['succeeded', 'stale'])
/** The fence of a window that no claim has ended. No row has this fence. */
const NO_FENCE = 0

/** The range of a proof, and what is known about its bounds. */
interface Scope extends TimeRange {
  /** A gap that ends at or before this instant is a finding only if a table has rows there. */
  readonly promisedFrom: Date
  /** The instant `windows.start` in the code. No backfill runs windows before it. */
  readonly declaredFrom: Date | undefined
  /** Whether the caller gave the start of the range. */
  readonly isGiven: boolean
  /** The end of a window that starts before the range and reaches into it; otherwise the start of the range. */
  readonly begin: Date
  /** The range in which rows are read. Without given bounds it is unlimited, so that rows far away from every window are also found. */
  readonly rows: TimeRange
}

/**
 * Proves what a job's ledger says, page by page, because a ledger may have millions of windows. Checks three things: the windows have no
 * gaps and no overlaps, one claim ended each succeeded window, and the rows of fenced tables are those that this claim wrote.
 *
 * @throws PikoError `WINDOW_UNKNOWN` for a job without windows; `USAGE` for bounds that are not a valid range
 */
export async function prove(store: Store, job: JobRow, range: ProofRange): Promise<Certificate> {
  const zone = zoneOfJob(job)
  const { now } = await store.plans.agenda()
  const { current: schema } = await migrationStatus(store.database)
  const scope = await scopeOf(store, job, range, zone)
  const findings = new Findings(job.id, zone, store.database.dialect.name)
  const generations = await store.jobs.generations(job.id)
  const proof = new LedgerProof(store, job.id, findings)
  if (scope) await proof.run(scope, range.signal)
  const { from, to } = scope ?? { from: now, to: now }
  return {
    ...{ kind: 'piko.proof', version: 1, versions: { piko: packageVersion(), schema } },
    ...{ jobId: job.id, from, to, provedAt: now },
    isProved: findings.total === 0,
    ...proof.result,
    generations: Math.max(1, generations.length),
    findings: findings.list,
    findingsTotal: findings.total,
  }
}

async function scopeOf(store: Store, job: JobRow, range: ProofRange, zone: string): Promise<Scope | undefined> {
  if (job.windows === null) {
    throw new PikoError('WINDOW_UNKNOWN', `job "${job.id}" has no windows, so there is nothing to prove`, {
      details: { jobId: job.id },
    })
  }
  const { start, begin: declaredFrom } = await store.windows.bounds(job.id)
  const extent = await store.proofs.extent(job.id)
  const end = latest(job.windowCursor, extent?.to)
  const first = earliest(start, extent?.from)
  const from = range.from === undefined ? first : momentOf('the start of the range (from)', range.from, zone)
  const given = range.to === undefined ? undefined : momentOf('the end of the range (to)', range.to, zone)
  if (from && given && from >= given) {
    throw new PikoError(
      'USAGE',
      `the end of the range (to) is ${given.toISOString()}; expected an instant after its start (from), ${from.toISOString()}`,
    )
  }
  // A time that is not planned yet is not a gap.
  const to = given && end && given > end ? end : (given ?? end)
  if (!from || !to || from >= to) return undefined
  const before = await store.proofs.before(job.id, from)
  const begin = before?.end && before.end > from ? before.end : from
  const rows = {
    from: range.from === undefined ? new Date(FIRST_INSTANT_MS) : from,
    to: range.to === undefined ? new Date(LAST_INSTANT_MS) : to,
  }
  const isGiven = range.from !== undefined
  return { from, to, begin, promisedFrom: isGiven ? from : (start ?? from), isGiven, declaredFrom, rows }
}

/** One pass over a ledger. */
class LedgerProof {
  readonly #store: Store
  readonly #jobId: string
  readonly #findings: Findings
  readonly #counts = Object.fromEntries(WINDOW_STATES.map((state) => [state, 0])) as Record<WindowState, number>
  readonly #hash = createHash('sha256')
  readonly #unrun: Window[] = []
  #tables: readonly TableProof[] = []
  #suspects: Suspects | undefined
  #unverified = 0
  #last: ProofEntry | undefined

  constructor(store: Store, jobId: string, findings: Findings) {
    this.#store = store
    this.#jobId = jobId
    this.#findings = findings
  }

  get result(): Pick<Certificate, 'windows' | 'unverified' | 'digest' | 'tables' | 'unrun'> {
    return {
      windows: this.#counts,
      unverified: this.#unverified,
      digest: this.#hash.copy().digest('hex'),
      tables: this.#tables.map(({ result }) => result),
      unrun: this.#unrun,
    }
  }

  async run(scope: Scope, signal: AbortSignal | undefined): Promise<void> {
    const { proofs } = this.#store
    const tables = await proofs.tables(this.#jobId)
    this.#tables = tables.map((table) => new TableProof(table, proofs, this.#jobId, this.#findings))
    this.#suspects = await suspectsOf(proofs, this.#jobId, scope, this.#findings)
    const size = new PageSize(proofs.isLocal)
    let { begin: end, from } = scope
    for (;;) {
      signal?.throwIfAborted()
      const rows = await proofs.windows(this.#jobId, { from, to: scope.to }, size.rows + 1)
      const next = rows.length > size.rows ? rows.at(-1)?.start : undefined
      const to = next ?? scope.to
      const took = performance.now()
      end = await this.#page(scope, { from, to }, next ? rows.slice(0, -1) : rows, end)
      size.adapt(performance.now() - took)
      if (!next) return
      from = next
      await nextTurn()
    }
  }

  /**
   * Checks one page of windows.
   *
   * @returns the end of the page, or of its last window if that ends later
   */
  async #page(scope: Scope, range: TimeRange, rows: readonly ProofWindow[], begin: Date): Promise<Date> {
    const entries = this.#entriesOf(range, rows)
    const gaps: Window[] = []
    let end = begin
    const tiled: ProofEntry[] = []
    for (const entry of entries) {
      if (entry.start > end) gaps.push({ start: end, end: entry.start })
      else if (entry.start < end && this.#last) {
        const [loser, other] = loserOf(this.#last, entry)
        this.#findings.overlap(loser, loser.id ?? 0, other)
        if (loser === entry) continue
        tiled.splice(tiled.indexOf(this.#last), tiled.includes(this.#last) ? 1 : 0)
      }
      tiled.push(entry)
      this.#last = entry
      end = entry.end
    }
    if (end < range.to) {
      gaps.push({ start: end, end: range.to })
      end = range.to
    }
    const isFirst = range.from.getTime() === scope.from.getTime()
    const isLast = range.to.getTime() === scope.to.getTime()
    const rowRange = { from: isFirst ? scope.rows.from : range.from, to: isLast ? scope.rows.to : range.to }
    const orphans = await this.#compare(rowRange, tiled, gaps)
    for (const gap of gaps) this.#gap(gap, scope, orphans.get(gap.start.getTime()) ?? 0)
    return end
  }

  async #compare(
    range: TimeRange,
    entries: readonly ProofEntry[],
    gaps: readonly Window[],
  ): Promise<Map<number, number>> {
    const sum = new Map<number, number>()
    for (const table of this.#tables) {
      await nextTurn()
      for (const [start, rows] of await table.compare(range, entries, gaps))
        sum.set(start, (sum.get(start) ?? 0) + rows)
    }
    return sum
  }

  /**
   * Reports a gap. One before the first window that Piko planned itself is not a finding, unless the range of the caller includes it or a
   * table has rows there. The same applies to a gap that the code made by moving `windows.start` to its end.
   */
  #gap(gap: Window, { promisedFrom, declaredFrom, isGiven }: Scope, rows: number): void {
    const isLeftOut = !isGiven && gap.end.getTime() === declaredFrom?.getTime()
    if ((gap.end <= promisedFrom || isLeftOut) && rows === 0) this.#unrun.push(gap)
    else this.#findings.gap(gap, rows, declaredFrom)
  }

  /** Returns the windows of a page, with the bounds and fences from their claims. */
  #entriesOf({ from, to }: TimeRange, rows: readonly ProofWindow[]): ProofEntry[] {
    const suspects = this.#suspects
    const entries = rows.flatMap((row) => {
      if (suspects?.ids.has(row.id)) return []
      const { start, end, state, fence = NO_FENCE, id } = row
      if (!start || !end) {
        this.#findings.unreadable(row)
        return []
      }
      this.#counts[state] += 1
      if (DONE.has(state) && !row.hasRun) this.#unverified += 1
      if (UNFINISHED.has(state)) this.#findings.unfinished({ start, end }, state)
      if (state === 'succeeded') this.#hash.update(`${start.getTime()},${end.getTime()},${fence}\n`)
      return { id, start, end, fence, isSucceeded: DONE.has(state) }
    })
    const moved = suspects?.entries.filter(({ start }) => start >= from && start < to) ?? []
    for (const { isSucceeded } of moved) this.#counts[isSucceeded ? 'succeeded' : 'failed'] += 1
    return moved.length === 0
      ? entries
      : [...entries, ...moved].toSorted((a, b) => a.start.getTime() - b.start.getTime())
  }
}

/**
 * Decides which of two overlapping windows is wrong. If only one of them has succeeded, the other is wrong. Otherwise, the one that was
 * created later is wrong.
 */
function loserOf(one: ProofEntry, other: ProofEntry): [loser: ProofEntry, kept: ProofEntry] {
  const isOther =
    one.isSucceeded === other.isSucceeded
      ? (other.id ?? Infinity) > (one.id ?? Infinity) || one.id === other.id
      : one.isSucceeded
  return isOther ? [other, one] : [one, other]
}

function earliest(one: Date | undefined, other: Date | undefined): Date | undefined {
  return one && other ? (one < other ? one : other) : (one ?? other)
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  return one && other ? (one > other ? one : other) : (one ?? other)
}
