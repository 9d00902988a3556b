import { ACTOR_KINDS, ROLES } from '../../access/actor.ts'
import { ATTEMPT_OUTCOMES } from '../../run/attempt.ts'
import { BACKFILL_ONLY, BACKFILL_ORDERS, BACKFILL_STATES } from '../../ledger/backfill.ts'
import { BATCH_STATES } from '../../run/batch.ts'
import { ITEM_STATES } from '../../item/item.ts'
import { NOTICE_KINDS, PROBLEMS } from '../../notice/notice.ts'
import { RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { AUDIT_OUTCOMES } from '../access/access-tables.ts'
import { MESSAGE_STATES } from '../notices/notice-tables.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { type Tables, WINDOW_STATES } from '../tables.ts'
import { ON_UPSTREAM_CHANGE } from '../../job/upstream.ts'

export type TableName = keyof Tables

/** The values that a column may hold. */
export type Rule =
  | { readonly kind: 'instant'; readonly isNullable: boolean }
  | { readonly kind: 'word'; readonly words: readonly string[]; readonly isNullable: boolean }
  | { readonly kind: 'json' }
  | { readonly kind: 'schedule' }
  | { readonly kind: 'count'; readonly max: number; readonly isNullable: boolean }
  | { readonly kind: 'amount'; readonly isNullable: boolean }

interface TableRules {
  readonly key: readonly string[]
  readonly columns: Readonly<Record<string, Rule>>
}

const INSTANT: Rule = { kind: 'instant', isNullable: false }
const MAYBE_INSTANT: Rule = { kind: 'instant', isNullable: true }
const JSON_TEXT: Rule = { kind: 'json' }
const SCHEDULE_TEXT: Rule = { kind: 'schedule' }
const word = (words: readonly string[]): Rule => ({ kind: 'word', words, isNullable: false })
const maybeWord = (words: readonly string[]): Rule => ({ kind: 'word', words, isNullable: true })
const count = (max: number): Rule => ({ kind: 'count', max, isNullable: false })

const AMOUNT: Rule = { kind: 'amount', isNullable: false }
const MAYBE_AMOUNT: Rule = { kind: 'amount', isNullable: true }

const MAX_INT = 2 ** 31 - 1
const COUNT = count(MAX_INT)
const MAYBE_COUNT: Rule = { kind: 'count', max: MAX_INT, isNullable: true }
const LARGE_COUNT = count(Number.MAX_SAFE_INTEGER)
const MAYBE_LARGE_COUNT: Rule = { kind: 'count', max: Number.MAX_SAFE_INTEGER, isNullable: true }

/**
 * The valid values of columns in which a database accepts values that Piko can't read, such as text that is not an instant, dates of zeros,
 * or unknown words. The JSON of runs has no rule, because invalid JSON is read as text.
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
      attempt: COUNT,
      claims: count(FENCE_FACTOR - 1),
      created_at: INSTANT,
      started_at: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
      cancel_requested_at: MAYBE_INSTANT,
    },
  },
  piko_attempt: {
    key: ['run_id', 'fence'],
    columns: {
      attempt: COUNT,
      started_at: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
      outcome: word(ATTEMPT_OUTCOMES),
    },
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
      parallel: COUNT,
      total: COUNT,
      planned: COUNT,
      passed: COUNT,
      active_ms: LARGE_COUNT,
      active_since: MAYBE_INSTANT,
      created_at: INSTANT,
      finished_at: MAYBE_INSTANT,
      config: JSON_TEXT,
    },
  },
  piko_job_table: { key: ['job_id', 'table_name'], columns: { layout: JSON_TEXT } },
  piko_window_rows: {
    key: ['job_id', 'table_name', 'start_at'],
    columns: { start_at: INSTANT, row_count: MAYBE_LARGE_COUNT },
  },
  piko_dependency: { key: ['job_id', 'upstream_id'], columns: { on_change: word(ON_UPSTREAM_CHANGE) } },
  piko_node: { key: ['id'], columns: { started_at: INSTANT, heartbeat_at: INSTANT, expires_at: INSTANT } },
  piko_lock: { key: ['name'], columns: { expires_at: INSTANT } },
  piko_run_log: { key: ['id'], columns: { attempt: COUNT, logged_at: INSTANT, level: word(RUN_LOG_LEVELS) } },
  piko_step: {
    key: ['run_id', 'name'],
    columns: {
      seq: COUNT,
      attempt: COUNT,
      ms: LARGE_COUNT,
      tries: COUNT,
      result: JSON_TEXT,
      waiting_since: MAYBE_INSTANT,
      finished_at: MAYBE_INSTANT,
    },
  },
  piko_item_run: {
    key: ['fence'],
    columns: { stored: LARGE_COUNT, seeded_at: MAYBE_INSTANT, ended_at: MAYBE_INSTANT, created_at: INSTANT },
  },
  piko_item: {
    key: ['id'],
    columns: {
      state: word(ITEM_STATES),
      depth: COUNT,
      claims: COUNT,
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
      rate_limit: MAYBE_COUNT,
      rate_ms: MAYBE_LARGE_COUNT,
      parallel: MAYBE_COUNT,
      delay_ms: MAYBE_LARGE_COUNT,
      factor: AMOUNT,
      successes: COUNT,
      failures: COUNT,
      recent: COUNT,
      opens: COUNT,
    },
  },
  piko_lane_speed: {
    key: ['lane_id', 'node_id'],
    columns: { measured_at: INSTANT, span_ms: COUNT, ended: COUNT, p50_ms: MAYBE_COUNT, p95_ms: MAYBE_COUNT },
  },
  piko_lane_note: { key: ['lane_id', 'name'], columns: { expires_at: INSTANT } },
  piko_item_state: {
    key: ['job_id', 'pool', 'name'],
    columns: { uses: LARGE_COUNT, errors: LARGE_COUNT, used_at: INSTANT, retired_at: MAYBE_INSTANT },
  },
  piko_item_score: {
    key: ['job_id', 'score_group', 'name'],
    columns: { ok: LARGE_COUNT, failed: LARGE_COUNT, failures: COUNT, success_share: AMOUNT, updated_at: INSTANT },
  },
  piko_run_progress: {
    key: ['run_id'],
    columns: {
      fence: LARGE_COUNT,
      attempt: COUNT,
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
      total: COUNT,
      stored: COUNT,
      created_at: INSTANT,
      finished_at: MAYBE_INSTANT,
    },
  },
  piko_batch_slice: {
    key: ['first_id'],
    columns: {
      last_id: LARGE_COUNT,
      id_step: COUNT,
      from_item: COUNT,
      size: COUNT,
      succeeded: MAYBE_COUNT,
      failed: MAYBE_COUNT,
      cancelled: MAYBE_COUNT,
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
      attempt: COUNT,
      place: COUNT,
    },
  },
  piko_shared: {
    key: ['topic', 'version'],
    columns: { version: LARGE_COUNT, value: JSON_TEXT, created_at: INSTANT },
  },
  piko_notice: {
    key: ['id'],
    columns: { window_start: MAYBE_INSTANT, window_end: MAYBE_INSTANT, created_at: INSTANT, failures: COUNT },
  },
  piko_alert: {
    key: ['job_id', 'kind'],
    columns: {
      kind: word(PROBLEMS),
      occurrences: LARGE_COUNT,
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
      tries: COUNT,
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
  piko_spill: {
    key: ['run_id', 'sink', 'host'],
    columns: {
      spilled_rows: LARGE_COUNT,
      sent_rows: LARGE_COUNT,
      spilled_bytes: LARGE_COUNT,
      spilled_at: INSTANT,
      changed_at: INSTANT,
    },
  },
}
