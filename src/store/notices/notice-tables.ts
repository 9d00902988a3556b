import type { ColumnType, Generated } from 'kysely'
import type { NoticeKind, Problem } from '../../notice/notice.ts'

type Instant = ColumnType<Date | string, Date | string, Date | string>
type NullableInstant = ColumnType<Date | string | null, Date | string | null | undefined, Date | string | null>

/** Failures that one transaction has stored; see `recordFailures`. */
export interface NoticeTable {
  id: Generated<number>
  job_id: string
  failures: number
  run_id: number | null
  window_start: NullableInstant
  window_end: NullableInstant
  error: string | null
  created_at: Instant
}

/** A problem of one job. When the recovery has been reported, the row is deleted. */
export interface AlertTable {
  job_id: string
  kind: Problem
  occurrences: number
  run_id: number | null
  window_start: NullableInstant
  window_end: NullableInstant
  error: string | null
  opened_at: Instant
  last_at: Instant
  told_at: NullableInstant
  recovered_at: NullableInstant
}

/** `due`: it must be delivered at `due_at`, or is being delivered until then. `dead`: it could not be delivered. */
export type MessageState = 'due' | 'sent' | 'dead'

export const MESSAGE_STATES: readonly MessageState[] = ['due', 'sent', 'dead']

/** A notice to one channel. */
export interface MessageTable {
  id: Generated<number>
  channel: string
  kind: NoticeKind
  /** The notice as JSON of `NoticeBody`. */
  body: string
  state: MessageState
  due_at: Instant
  tries: Generated<number>
  error: string | null
  created_at: Instant
  sent_at: NullableInstant
}

export interface NoticeTables {
  piko_notice: NoticeTable
  piko_alert: AlertTable
  piko_message: MessageTable
}
