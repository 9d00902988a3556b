import { ACTOR_KINDS, ROLES } from '../../access/actor.ts'
import { ATTEMPT_OUTCOMES } from '../../run/attempt.ts'
import { BACKFILL_ONLY, BACKFILL_ORDERS, BACKFILL_STATES } from '../../ledger/backfill.ts'
import { BATCH_STATES } from '../../run/batch.ts'
import { ITEM_STATES } from '../../item/item.ts'
import { NOTICE_KINDS, PROBLEMS } from '../../notice/notice.ts'
import { RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { describeInstant, storedInstant } from '../../time/instant.ts'
import { storedSchedule } from '../../time/stored-schedule.ts'
import type { Dialect } from '../connection/dialect.ts'
import { AUDIT_OUTCOMES } from '../access/access-tables.ts'
import { MESSAGE_STATES } from '../notices/notice-tables.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { type Tables, WINDOW_STATES } from '../tables.ts'
import { ON_UPSTREAM_CHANGE } from '../../job/upstream.ts'

export type TableName = keyof Tables

/** The values that a column may hold. */
type Rule =
  | { readonly kind: 'instant'; readonly isNullable: boolean }
  | { readonly kind: 'word'; readonly words: readonly string[]; readonly isNullable: boolean }
  | { readonly kind: 'json' }
  | { readonly kind: 'schedule' }
  | { readonly kind: 'count'; readonly max: number }
  | { readonly kind: 'amount'; readonly isNullable: boolean }

interface TableRules {
  readonly key: readonly string[]
  readonly columns: Readonly<Record<string, Rule>>
}

/** A value that a person has written and that is invalid for its column. */
export interface Fault {
  readonly column: string
  readonly value: string
  readonly expected: string
  /** A valid value for the column, as SQL. */
  readonly example: string
}

const INSTANT: Rule = { kind: 'instant', isNullable: false }
const MAYBE_INSTANT: Rule = { kind: 'instant', isNullable: true }
const JSON_TEXT: Rule = { kind: 'json' }
const SCHEDULE_TEXT: Rule = { kind: 'schedule' }
const word = (words: readonly string[]): Rule => ({ kind: 'word', words, isNullable: false })
const maybeWord = (words: readonly string[]): Rule => ({ kind: 'word', words, isNullable: true })
const count = (max: number): Rule => ({ kind: 'count', max })

const AMOUNT: Rule = { kind: 'amount', isNullable: false }
const MAYBE_AMOUNT: Rule = { kind: 'amount', isNullable: true }

const MAX_INT = 2 ** 31 - 1

/**
 * The valid values of columns in which a database accepts values that Piko can't read: text that is not an instant, dates of zeros, unknown
 * words. The JSON of runs has no rule, since invalid JSON is read as text.
 */
export const ROW_RULES: Readonly<Record<TableName, TableRules>> = {
  piko_job: {
    key: ['id'],
    columns: {
      next_tick: MAYBE_INSTANT,
      plan_at: MAYBE_INSTANT,
      ledger_start: MAYBE_INSTANT,
      window_cursor: MAYBE_INSTANT,
      windows: JSON_TEXT,
    },
  },
  piko_generation: { key: ['job_id', 'start_at'], columns: { start_at: INSTANT, schedule: SCHEDULE_TEXT } },
  piko_job_config: {
    key: ['id'],
    columns: { effective_from: INSTANT, created_at: INSTANT, config: JSON_TEXT },
  },
  piko_config_ack: { key: ['job_id', 'node_id'], columns: { acked_at: INSTANT } },
  piko_run: {
    key: ['id'],
    columns: {
      state: word(RUN_STATES),
      kind: word(RUN_KINDS),
      run_at: INSTANT,
      tick: MAYBE_INSTANT,
      window_start: MAYBE_INSTANT,
      window_end: MAYBE_INSTANT,
      attempt: count(MAX_INT),
      claims: count(FENCE_FACTOR - 1),
      created_at: INSTANT,
      started_at: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
      cancel_requested_at: MAYBE_INSTANT,
    },
  },
  piko_attempt: {
    key: ['run_id', 'fence'],
    columns: { started_at: MAYBE_INSTANT, finished_at: MAYBE_INSTANT, outcome: word(ATTEMPT_OUTCOMES) },
  },
  piko_window: {
    key: ['id'],
    columns: {
      start_at: INSTANT,
      end_at: INSTANT,
      state: word(WINDOW_STATES),
      wait_at: MAYBE_INSTANT,
      changed_to: maybeWord(['waiting', 'stale']),
    },
  },
  piko_backfill: {
    key: ['id'],
    columns: {
      state: word(BACKFILL_STATES),
      from_at: INSTANT,
      to_at: INSTANT,
      cursor_at: MAYBE_INSTANT,
      window_order: word(BACKFILL_ORDERS),
      only_windows: word(BACKFILL_ONLY),
      active_since: MAYBE_INSTANT,
      created_at: INSTANT,
      finished_at: MAYBE_INSTANT,
      config: JSON_TEXT,
    },
  },
  piko_job_table: { key: ['job_id', 'table_name'], columns: { layout: JSON_TEXT } },
  piko_window_rows: { key: ['job_id', 'table_name', 'start_at'], columns: { start_at: INSTANT } },
  piko_dependency: { key: ['job_id', 'upstream_id'], columns: { on_change: word(ON_UPSTREAM_CHANGE) } },
  piko_node: { key: ['id'], columns: { started_at: INSTANT, heartbeat_at: INSTANT, expires_at: INSTANT } },
  piko_lock: { key: ['name'], columns: { expires_at: INSTANT } },
  piko_run_log: { key: ['id'], columns: { logged_at: INSTANT, level: word(RUN_LOG_LEVELS) } },
  piko_step: {
    key: ['run_id', 'name'],
    columns: {
      seq: count(MAX_INT),
      attempt: count(MAX_INT),
      ms: count(Number.MAX_SAFE_INTEGER),
      tries: count(MAX_INT),
      result: JSON_TEXT,
      waiting_since: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
    },
  },
  piko_item_run: {
    key: ['fence'],
    columns: { seeded_at: MAYBE_INSTANT, ended_at: MAYBE_INSTANT, created_at: INSTANT },
  },
  piko_item: {
    key: ['id'],
    columns: {
      state: word(ITEM_STATES),
      due_at: INSTANT,
      created_at: INSTANT,
      started_at: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
    },
  },
  piko_item_body: { key: ['item_id'], columns: {} },
  piko_item_count: { key: ['fence', 'kind', 'what', 'node_id'], columns: {} },
  piko_lane: {
    key: ['id'],
    columns: {
      next_at: MAYBE_INSTANT,
      free_at: MAYBE_INSTANT,
      open_until: MAYBE_INSTANT,
      paused_at: MAYBE_INSTANT,
      used_at: MAYBE_INSTANT,
      factor: AMOUNT,
    },
  },
  piko_lane_speed: { key: ['lane_id', 'node_id'], columns: { measured_at: INSTANT } },
  piko_lane_note: { key: ['lane_id', 'name'], columns: { expires_at: INSTANT } },
  piko_item_state: {
    key: ['job_id', 'pool', 'name'],
    columns: { used_at: INSTANT, retired_at: MAYBE_INSTANT },
  },
  piko_item_score: { key: ['job_id', 'score_group', 'name'], columns: { updated_at: INSTANT } },
  piko_run_progress: {
    key: ['run_id'],
    columns: {
      fence: count(Number.MAX_SAFE_INTEGER),
      attempt: count(MAX_INT),
      done: AMOUNT,
      total: MAYBE_AMOUNT,
      rate: MAYBE_AMOUNT,
      updated_at: INSTANT,
    },
  },
  piko_batch: {
    key: ['id'],
    columns: {
      state: word(BATCH_STATES),
      total: count(MAX_INT),
      stored: count(MAX_INT),
      created_at: INSTANT,
      finished_at: MAYBE_INSTANT,
    },
  },
  piko_batch_slice: {
    key: ['first_id'],
    columns: {
      last_id: count(Number.MAX_SAFE_INTEGER),
      id_step: count(MAX_INT),
      from_item: count(MAX_INT),
      size: count(MAX_INT),
    },
  },
  piko_idempotency: { key: ['job_id', 'idempotency_key'], columns: { created_at: INSTANT } },
  piko_rate: { key: ['job_id', 'rate_key'], columns: { expires_at: INSTANT, starts: JSON_TEXT } },
  piko_dead_row: {
    key: ['id'],
    columns: {
      window_start: MAYBE_INSTANT,
      window_end: MAYBE_INSTANT,
      died_at: INSTANT,
      attempt: count(MAX_INT),
      place: count(MAX_INT),
    },
  },
  piko_shared: {
    key: ['topic', 'version'],
    columns: { version: count(Number.MAX_SAFE_INTEGER), created_at: INSTANT },
  },
  piko_notice: {
    key: ['id'],
    columns: { window_start: MAYBE_INSTANT, window_end: MAYBE_INSTANT, created_at: INSTANT, failures: count(MAX_INT) },
  },
  piko_alert: {
    key: ['job_id', 'kind'],
    columns: {
      kind: word(PROBLEMS),
      window_start: MAYBE_INSTANT,
      window_end: MAYBE_INSTANT,
      opened_at: INSTANT,
      last_at: INSTANT,
      told_at: MAYBE_INSTANT,
      recovered_at: MAYBE_INSTANT,
    },
  },
  piko_message: {
    key: ['id'],
    columns: {
      kind: word(NOTICE_KINDS),
      state: word(MESSAGE_STATES),
      due_at: INSTANT,
      tries: count(MAX_INT),
      created_at: INSTANT,
      sent_at: MAYBE_INSTANT,
    },
  },
  piko_event: { key: ['id'], columns: { created_at: INSTANT } },
  piko_event_head: { key: ['id'], columns: { complete_at: MAYBE_INSTANT, listened_until: MAYBE_INSTANT } },
  piko_cache: {
    key: ['space', 'print'],
    columns: { stale_at: INSTANT, expires_at: INSTANT, loading_until: MAYBE_INSTANT },
  },
  piko_token: {
    key: ['id'],
    columns: {
      role: word(ROLES),
      created_at: INSTANT,
      expires_at: MAYBE_INSTANT,
      revoked_at: MAYBE_INSTANT,
      used_at: MAYBE_INSTANT,
    },
  },
  piko_session: { key: ['digest'], columns: { created_at: INSTANT, expires_at: INSTANT } },
  piko_audit: {
    key: ['id'],
    columns: {
      outcome: word(AUDIT_OUTCOMES),
      actor_kind: word(ACTOR_KINDS),
      began_at: INSTANT,
      ended_at: MAYBE_INSTANT,
    },
  },
  piko_spill: { key: ['run_id', 'sink', 'host'], columns: { spilled_at: INSTANT, changed_at: INSTANT } },
}

/** The columns of a row that can't be read. Checks only selected columns. Pure. */
export function faultsOf(dialect: Pick<Dialect, 'name'>, table: TableName, row: object): readonly Fault[] {
  let faults: Fault[] | undefined
  const { columns } = ROW_RULES[table]
  for (const column in row) {
    const rule = columns[column]
    const value: unknown = row[column as keyof typeof row]
    if (rule && !isHeld(rule, value)) (faults ??= []).push(faultOf(column, value, rule, dialect))
  }
  return faults ?? NONE
}

const NONE: readonly Fault[] = []

function isHeld(rule: Rule, value: unknown): boolean {
  if (value === null) return rule.kind === 'json' || ('isNullable' in rule && rule.isNullable)
  switch (rule.kind) {
    case 'instant':
      return storedInstant(value) !== undefined
    case 'word':
      return rule.words.includes(value as string)
    case 'json':
      return typeof value === 'string' && isReadBy(JSON.parse, value)
    case 'schedule':
      return typeof value === 'string' && (isReadBy(JSON.parse, value) || isReadBy(storedSchedule, value))
    case 'count':
      return Number.isInteger(Number(value)) && Number(value) >= 0 && Number(value) <= rule.max
    case 'amount':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
  }
}

function isReadBy(read: (text: string) => unknown, text: string): boolean {
  try {
    read(text)
    return true
  } catch {
    return false
  }
}

function faultOf(column: string, value: unknown, rule: Rule, { name }: Pick<Dialect, 'name'>): Fault {
  const shown = describeInstant(value)
  const length = `text of ${String(value).length} characters`
  switch (rule.kind) {
    case 'instant':
      return {
        ...{ column, value: shown, expected: 'an instant in UTC from the year 1000 to 9999' },
        // MySQL accepts no zone. Without one, SQLite would sort the text before the rest of its day.
        example: name === 'mysql' ? "'2026-01-31 12:00:00.000'" : "'2026-01-31T12:00:00.000Z'",
      }
    case 'word':
      return { column, value: shown, expected: `one of ${rule.words.join(', ')}`, example: `'${rule.words[0]}'` }
    case 'json':
      return { column, value: length, expected: 'JSON', example: "'{}'" }
    case 'schedule':
      return {
        ...{ column, value: length, example: "'0 0 * * *'" },
        expected: 'the JSON of a schedule, or a cron expression',
      }
    case 'count':
      return { column, value: shown, expected: `a whole number from 0 to ${rule.max}`, example: '0' }
    case 'amount':
      return { column, value: shown, expected: 'a number of 0 or more', example: '0' }
  }
}
