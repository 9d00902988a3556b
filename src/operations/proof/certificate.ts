import type { WindowInput } from '../../time/local-dates.ts'
import type { WindowState } from '../../store/tables.ts'
import type { Window } from '../../time/window.ts'

/**
 * A problem that a proof has found.
 *
 * In the ledger: `gap`: no window covers this time. `overlap`: two windows share some time. `edited`: a window's row does not match the
 * claim that ended it. `unfinished`: a window failed, was cancelled, or is stale.
 *
 * In a table: `missing`: fewer rows than were recorded. `doubled`: the same row more than once. `late`: more rows than were recorded.
 * `foreign`: rows with the fence of another claim, or rows that belong to no window. `changed`: as many rows as were recorded, with another
 * checksum.
 */
export type ProofKind =
  | 'gap'
  | 'overlap'
  | 'edited'
  | 'unfinished'
  | 'missing'
  | 'doubled'
  | 'late'
  | 'foreign'
  | 'changed'

export interface ProofFinding {
  readonly kind: ProofKind
  /** The window, or the gap. Undefined if the instant in a row can't be read, or if the table can't be read. */
  readonly window: Window | undefined
  /** The table of the rows; undefined for a finding in the ledger. */
  readonly table: string | undefined
  /** The keys of the affected rows, at most 10. Empty if the rows no longer exist or can't be distinguished. */
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** The finding as one sentence for people. */
  readonly message: string
  /** A command, or a statement for the database, that repairs the problem. */
  readonly repair: string
}

export type NotProved = 'database' | 'merge' | 'upsert'

/** The result of a proof for one table. */
export interface ProvedTable {
  readonly name: string
  /** Whether the rows were compared. */
  readonly isRead: boolean
  /**
   * Why the rows of the table were not compared. `database`: the table is in another database. `merge`: it keeps rows of older generations.
   * `upsert`: its key lacks the window column, so that rows move to other windows. Undefined: they were compared.
   */
  readonly notProved?: NotProved
  /** The number of rows that have the fences of the claims of their windows. */
  readonly rows: number
  /**
   * The number of windows that have rows but no recorded number of rows, because an older version of Piko recorded none or the rows could
   * not be counted.
   */
  readonly unrecorded: number
  /** One SHA-256 over the start, fence and number of rows of each window with rows, as hexadecimal text. */
  readonly digest: string
}

/** The result of a proof. It can be stored as JSON. */
export interface Certificate {
  readonly kind: 'piko.proof'
  /** The version of the certificate's format. */
  readonly version: 1
  /** The version of Piko that made the proof, and the number of the last migration of the store, such as 35. */
  readonly versions: { readonly piko: string; readonly schema: number }
  readonly jobId: string
  readonly from: Date
  readonly to: Date
  readonly provedAt: Date
  /** Whether the proof has found no problem. */
  readonly isProved: boolean
  /** How many windows are in each state. */
  readonly windows: Readonly<Record<WindowState, number>>
  /** How many succeeded or stale windows have no run any more, because old runs are deleted. Only their fences could be checked. */
  readonly unverified: number
  /** How many schedules have set the bounds of the windows. */
  readonly generations: number
  /** One SHA-256 over the start, end and fence of each succeeded window, as hexadecimal text. */
  readonly digest: string
  readonly tables: readonly ProvedTable[]
  /** The spans that never ran, before the first window that Piko has planned itself. */
  readonly unrun: readonly Window[]
  /** The findings, at most 1,000. */
  readonly findings: readonly ProofFinding[]
  /** How many findings there are in total. */
  readonly findingsTotal: number
}

export interface ProofRange {
  /** Only windows that start at this instant or later. A day means its beginning in the job's zone. Default: all windows. */
  readonly from?: WindowInput
  /** Only windows that start before this instant or day. Default: all planned windows. */
  readonly to?: WindowInput
  /** Aborting this signal ends the proof early. */
  readonly signal?: AbortSignal
}
