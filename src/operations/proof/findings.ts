import { counted } from '../../counted.ts'
import type { FencedTable } from '../../run/table-rows.ts'
import type { ProofWindow, SuspectWindow } from '../../store/proof/proof-store.ts'
import { momentText } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import { windowName } from '../windows-near.ts'
import type { ProofFinding, ProofKind } from './certificate.ts'

type Rows = ProofFinding['rows']

export const MAX_FINDINGS = 1_000

/** Collects the findings of a proof, each with a message for people and a command that repairs it. */
export class Findings {
  readonly #jobId: string
  readonly #zone: string
  readonly #dialect: 'mysql' | 'sqlite'
  readonly list: ProofFinding[] = []
  total = 0

  constructor(jobId: string, zone: string, dialect: 'mysql' | 'sqlite') {
    this.#jobId = jobId
    this.#zone = zone
    this.#dialect = dialect
  }

  /** @param begin `windows.start`, before which no backfill runs windows */
  gap(window: Window, rows: number, begin: Date | undefined): void {
    const there = rows > 0 ? `; ${rows} ${rows === 1 ? 'row is' : 'rows are'} stored for it` : ''
    const isBefore = begin !== undefined && window.start < begin
    const earlier = `set windows.start of job "${this.#jobId}" to ${text(window.start)} or earlier, start a node, then ${this.#backfill(window)}`
    const repair = isBefore ? earlier : this.#backfill(window)
    this.#add('gap', window, `no window covers ${this.#name(window)}${there}`, repair)
  }

  overlap(window: Window, id: number, other: Window): void {
    const message = `window ${this.#name(window)} (row ${id} of piko_window) overlaps window ${this.#name(other)}`
    this.#add('overlap', window, message, `DELETE FROM piko_window WHERE id = ${id}`)
  }

  /**
   * Adds a finding: the window's row in the ledger was changed.
   *
   * @param claimed the run that ended the window, with the values that must be in the window's row
   */
  edited(window: Window, row: ProofWindow, why: string, claimed?: NonNullable<SuspectWindow['run']>): void {
    const message = `the row of window ${this.#name(window)} (row ${row.id} of piko_window) was changed: ${why}`
    const { start, end } = window
    const repair =
      claimed === undefined
        ? this.#backfill(window, 'all')
        : `UPDATE piko_window SET start_at = '${this.#sql(start)}', end_at = '${this.#sql(end)}', state = '${claimed.state}', ` +
          `run_id = ${claimed.id}, fence = ${claimed.fence} WHERE id = ${row.id}`
    this.#add('edited', window, message, repair)
  }

  unreadable(row: ProofWindow): void {
    this.#push({
      ...{ kind: 'edited', window: undefined, table: undefined, rows: [] },
      message: `row ${row.id} of piko_window has no readable instant`,
      repair: `correct start_at and end_at of the row with id ${row.id}`,
    })
  }

  unfinished(window: Window, state: string): void {
    const only = state === 'failed' ? 'failed' : 'missing'
    this.#add('unfinished', window, `window ${this.#name(window)} is ${state}`, this.#backfill(window, only))
  }

  missing(window: Window, table: FencedTable, found: number, recorded: number): void {
    const message = `${table.name} has ${counted(found, 'row')} of window ${this.#name(window)}; ${recorded} ${recorded === 1 ? 'was' : 'were'} recorded when it ended`
    this.#add('missing', window, message, this.#backfill(window, 'all'), table)
  }

  more(window: Window, table: FencedTable, found: number, recorded: number, doubled: Rows): void {
    const [kind, why] =
      doubled.length > 0
        ? (['doubled', `the same row more than once: ${shown(doubled)}`] as const)
        : (['late', 'the others were added after its end'] as const)
    const message = `${table.name} has ${counted(found, 'row')} of window ${this.#name(window)}; ${recorded} ${recorded === 1 ? 'was' : 'were'} recorded when it ended, ${why}`
    this.#add(kind, window, message, this.#backfill(window, 'all'), table, doubled)
  }

  changed(window: Window, table: FencedTable): void {
    const message = `${table.name} has other rows of window ${this.#name(window)} than were recorded when it ended: the checksum differs`
    this.#add('changed', window, message, this.#backfill(window, 'all'), table)
  }

  /** Adds a finding: a table has rows of the window with another fence. @param own the fence that must be in the window's rows */
  foreign(window: Window, table: FencedTable, found: { fence: number; rows: number }, own: number, sample: Rows): void {
    const message =
      `${table.name} has ${found.rows} ${found.rows === 1 ? 'row' : 'rows'} of window ${this.#name(window)} with fence ${found.fence}; ` +
      `the claim that ended it has fence ${own}: ${shown(sample)}`
    // Running the window again deletes only rows of older claims.
    const repair = found.fence < own ? this.#backfill(window, 'all') : this.#delete(table, window.start, found.fence)
    this.#add('foreign', window, message, repair, table, sample)
  }

  unreadableTable({ name }: FencedTable, why: string): void {
    this.#push({
      ...{ kind: 'missing', window: undefined, table: name, rows: [] },
      message: `table ${name} can't be read: ${why}`,
      repair: `create the table again, or DELETE FROM piko_job_table WHERE table_name = '${name}' if it is gone on purpose`,
    })
  }

  /** Reports rows whose window column has an instant at which no window starts. */
  homeless(start: Date | undefined, table: FencedTable, found: { fence: number; rows: number }, sample: Rows): void {
    const at = start ? text(start) : 'an unreadable instant'
    this.#push({
      kind: 'foreign',
      window: start && { start, end: start },
      table: table.name,
      rows: sample,
      message: `${table.name} has ${found.rows} ${found.rows === 1 ? 'row' : 'rows'} with ${at} as the start of their window, where no window starts: ${shown(sample)}`,
      repair: start
        ? this.#delete(table, start, found.fence)
        : `correct ${table.windowColumn} of the rows with fence ${found.fence}`,
    })
  }

  #add(kind: ProofKind, window: Window, message: string, repair: string, table?: FencedTable, rows: Rows = []): void {
    this.#push({ kind, window: { start: window.start, end: window.end }, table: table?.name, rows, message, repair })
  }

  #push(finding: ProofFinding): void {
    this.total += 1
    if (this.list.length < MAX_FINDINGS) this.list.push(finding)
  }

  #name(window: Window): string {
    return windowName(window, this.#zone)
  }

  #backfill({ start, end }: Window, only?: 'all' | 'failed' | 'missing'): string {
    const range = `--from ${momentText(start, this.#zone)} --to ${momentText(end, this.#zone)}`
    return `piko backfills create ${this.#jobId} ${range}${only === undefined ? '' : ` --only ${only}`}`
  }

  #delete({ name, windowColumn, fenceColumn }: FencedTable, start: Date, fence: number): string {
    return `DELETE FROM ${name} WHERE ${windowColumn} = '${this.#sql(start)}' AND ${fenceColumn} = ${fence}`
  }

  #sql(instant: Date): string {
    const iso = instant.toISOString()
    return this.#dialect === 'mysql' ? iso.slice(0, 23).replace('T', ' ') : iso
  }
}

const MAX_SHOWN = 200

function shown(rows: Rows): string {
  const json = rows.map((row) => JSON.stringify(row)).join(', ')
  return json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json
}

function text(instant: Date): string {
  return instant.toISOString().replace('.000Z', 'Z')
}
