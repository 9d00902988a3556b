import { createHash } from 'node:crypto'
import { headline } from '../../errors-read.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { FencedTable } from '../../run/table-rows.ts'
import type { ProofStore, RecordedRows, RowGroup, TimeRange } from '../../store/proof/proof-store.ts'
import type { Window } from '../../time/window.ts'
import type { NotProved, ProvedTable } from './certificate.ts'
import type { Findings } from './findings.ts'

/** A window whose rows are compared, with the bounds and the fence of the claim that ended it. */
export interface ProofEntry extends Window {
  readonly isSucceeded: boolean
  /** The fence that must be in the rows of the window. */
  readonly fence: number
  /** The id of the window's row in the ledger; undefined if that row does not match the claim. */
  readonly id: number | undefined
}

/** The maximum number of rows that a finding names. */
const MAX_NAMED = 10
/** The maximum number of times that a window with differences is read again, because a run may have ended between two reads. */
const MAX_READS = 3

/** Compares the rows of one table with the windows of a job, page by page. */
export class TableProof {
  readonly #table: FencedTable
  readonly #store: ProofStore
  readonly #jobId: string
  readonly #findings: Findings
  readonly #hash = createHash('sha256')
  #rows = 0
  #unrecorded = 0
  #isBroken = false

  constructor(table: FencedTable, store: ProofStore, jobId: string, findings: Findings) {
    this.#table = table
    this.#store = store
    this.#jobId = jobId
    this.#findings = findings
  }

  get result(): ProvedTable {
    const { name } = this.#table
    const notProved = this.#notProved
    const digest = this.#hash.copy().digest('hex')
    const isRead = notProved === undefined
    return { name, isRead, ...(notProved && { notProved }), rows: this.#rows, unrecorded: this.#unrecorded, digest }
  }

  get #notProved(): NotProved | undefined {
    const { isOwn, unproved } = this.#table
    return unproved ?? (isOwn ? undefined : 'database')
  }

  /**
   * Compares the rows of the table with the ledger.
   *
   * @param entries all windows that start within the range, oldest first
   * @param lost the gaps between windows
   * @returns the number of rows in each gap, by the start of the gap
   */
  async compare(
    range: TimeRange,
    entries: readonly ProofEntry[],
    lost: readonly Window[],
  ): Promise<Map<number, number>> {
    if (this.#notProved !== undefined || this.#isBroken) return new Map()
    try {
      return await this.#compare(range, entries, lost)
    } catch (thrown) {
      // If a table no longer exists or has other columns, the other tables must still be proved.
      if (databaseFault(thrown) !== 'programming') throw thrown
      this.#isBroken = true
      this.#findings.unreadableTable(this.#table, headline(thrown))
      return new Map()
    }
  }

  async #compare(
    range: TimeRange,
    entries: readonly ProofEntry[],
    lost: readonly Window[],
  ): Promise<Map<number, number>> {
    const orphans = new Map<number, number>()
    const recorded = await this.#store.recorded(this.#jobId, this.#table.name, range)
    const groups = Map.groupBy(await this.#store.groups(this.#table, range), ({ start }) => start?.getTime())
    let fences: Promise<Map<number, RecordedRows>> | undefined
    for (const entry of entries) {
      const at = entry.start.getTime()
      const own = groups.get(at) ?? []
      groups.delete(at)
      if (!entry.isSucceeded) continue
      let expected = recorded.get(at)
      if (!isAsRecorded(entry, own, expected) || isUncounted(entry, expected)) {
        fences ??= this.#store.fences(this.#table, range)
        expected = delivered(entry, expected, (await fences).get(at))
      }
      await this.#compareWindow(entry, own, expected)
    }
    for (const found of [...groups.values()].flat()) {
      const gap = lost.find(({ start, end }) => found.start && found.start >= start && found.start < end)
      if (gap) orphans.set(gap.start.getTime(), (orphans.get(gap.start.getTime()) ?? 0) + found.rows)
      // A window may have been planned since, or its row may have been left out because it overlaps another.
      else if (found.start && (await this.#isWindow(found.start))) continue
      else
        this.#findings.homeless(
          found.start,
          this.#table,
          found,
          found.start ? await this.#sample(found.start, found.fence) : [],
        )
    }
    return orphans
  }

  async #isWindow(start: Date): Promise<boolean> {
    const range = { from: start, to: new Date(start.getTime() + 1) }
    return (await this.#store.windows(this.#jobId, range, 1)).length > 0
  }

  async #compareWindow(
    entry: ProofEntry,
    groups: readonly RowGroup[],
    recorded: RecordedRows | undefined,
  ): Promise<void> {
    let [now, found, expected] = [entry, groups, recorded]
    for (let reads = 0; reads < MAX_READS && !isAsRecorded(now, found, expected); reads++) {
      const [again] = entry.id === undefined ? [] : await this.#store.windows(this.#jobId, within(entry), 1)
      // The window is running again, or no longer exists.
      if (entry.id !== undefined && again?.state !== 'succeeded' && again?.state !== 'stale') return
      const fence = again?.fence ?? now.fence
      const isSame = fence === now.fence
      now = { ...now, fence }
      found = await this.#store.groups(this.#table, within(entry))
      const at = entry.start.getTime()
      const recordedAgain = (await this.#store.recorded(this.#jobId, this.#table.name, within(entry))).get(at)
      expected = delivered(now, recordedAgain, (await this.#store.fences(this.#table, within(entry))).get(at))
      if (isSame && reads > 0) break
    }
    await this.#judge(now, found, expected)
  }

  async #judge(entry: ProofEntry, groups: readonly RowGroup[], recorded: RecordedRows | undefined): Promise<void> {
    const group = groups.find(({ fence }) => fence === entry.fence)
    const own = group?.rows ?? 0
    this.#rows += own
    if (own > 0) this.#hash.update(`${entry.start.getTime()},${entry.fence},${own}\n`)
    for (const other of groups) {
      if (other.fence === entry.fence) continue
      const sample = await this.#sample(entry.start, other.fence)
      this.#findings.foreign(entry, this.#table, other, entry.fence, sample)
    }
    const expected = recorded?.fence === entry.fence ? recorded.rows : undefined
    if (expected === undefined) this.#unrecorded += own > 0 ? 1 : 0
    else if (own < expected) this.#findings.missing(entry, this.#table, own, expected)
    else if (own > expected) {
      this.#findings.more(entry, this.#table, own, expected, await this.#doubled(entry, own - expected))
    } else if (isChanged(group, recorded)) this.#findings.changed(entry, this.#table)
  }

  #sample(start: Date, fence: number) {
    const { key, columns } = this.#table
    return this.#store.sample(this.#table, start, fence, key.length > 0 ? key : columns, MAX_NAMED)
  }

  /** Finds the rows that exist more than once: by their key, by all columns, or by all columns except the key. */
  async #doubled({ start, fence }: ProofEntry, surplus: number): Promise<readonly Record<string, unknown>[]> {
    const { key, columns } = this.#table
    const others = columns.filter((column) => !key.includes(column))
    for (const by of [key, columns, others]) {
      if (by.length === 0) continue
      const rows = await this.#store.repeated(this.#table, start, fence, by, MAX_NAMED)
      const more = rows.reduce((sum, { piko_n }) => sum + Number(piko_n) - 1, 0)
      // Rows with different keys may have equal values in the other columns. So such rows are named only if their number is exactly the
      // surplus.
      const isNamed = rows.length > 0 && (by !== others || more === surplus)
      if (isNamed) return rows.map(({ piko_n: _, ...row }) => row)
    }
    return []
  }
}

function isAsRecorded({ fence }: ProofEntry, groups: readonly RowGroup[], recorded: RecordedRows | undefined): boolean {
  if (groups.some((group) => group.fence !== fence)) return false
  if (recorded?.fence !== fence || recorded.rows === undefined) return true
  return recorded.rows === (groups[0]?.rows ?? 0) && !isChanged(groups[0], recorded)
}

function isUncounted({ fence }: ProofEntry, recorded: RecordedRows | undefined): boolean {
  return recorded?.fence !== fence || recorded.rows === undefined
}

/** Returns how many rows to expect. If rows were delivered from disk after the run had ended, only `piko_fence` has counted them. */
function delivered(
  { fence }: ProofEntry,
  recorded: RecordedRows | undefined,
  counted: RecordedRows | undefined,
): RecordedRows | undefined {
  if (counted?.fence !== fence || counted.rows === undefined) return recorded
  const isSame = recorded?.fence === fence && recorded.rows === counted.rows
  return { ...counted, checksum: isSame ? recorded.checksum : undefined }
}

function isChanged(group: RowGroup | undefined, recorded: RecordedRows | undefined): boolean {
  return group?.checksum !== undefined && recorded?.checksum !== undefined && group.checksum !== recorded.checksum
}

function within({ start }: Window): TimeRange {
  return { from: start, to: new Date(start.getTime() + 1) }
}
