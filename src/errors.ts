/// <reference lib="es2022.error" preserve="true" />
import { describeThrown, isError, propertyOf, safely } from './errors-read.ts'
import { readable } from './safe-error.ts'

export { describe } from './errors-read.ts'

/** The codes of all errors that Piko throws itself. `docs/errors.md` explains each code; a test fails if one is missing there. */
export const ERROR_CODES = [
  'ACCESS_DENIED',
  'BACKFILL_UNKNOWN',
  'BATCH_CANCELLED',
  'BATCH_CONFLICT',
  'BATCH_UNKNOWN',
  'BODY_TOO_LARGE',
  'BREAKER_OPEN',
  'BULKHEAD_FULL',
  'CACHE_INVALID',
  'CACHE_UNAVAILABLE',
  'CHANGE_REFUSED',
  'CHANNEL_CLOSED',
  'COMMIT_UNKNOWN',
  'CONFIG_INVALID',
  'CONFIG_UNKNOWN',
  'CRAWL_FAILED',
  'DATABASE_DENIED',
  'DATABASE_GONE',
  'DATABASE_LOCKED',
  'DATABASE_TIMEOUT',
  'DATABASE_UNREACHABLE',
  'DATABASE_UNSUPPORTED',
  'DEPENDENCY_INVALID',
  'DOCTOR_FOUND',
  'DURATION_INVALID',
  'HTTP_BODY_INVALID',
  'HTTP_FAILED',
  'HTTP_LISTEN_FAILED',
  'HTTP_STATUS',
  'HTTP_TOO_LARGE',
  'HTTP_UNPROTECTED',
  'IDEMPOTENCY_CONFLICT',
  'INPUT_INVALID',
  'INTERNAL',
  'ITEM_INVALID',
  'ITEM_UNKNOWN',
  'ITEMS_CANCELLED',
  'ITEMS_DEAD',
  'JOB_DUPLICATE',
  'JOB_INVALID',
  'JOB_LOAD_FAILED',
  'JOB_UNKNOWN',
  'JOBS_NOT_FOUND',
  'LEASE_LOST',
  'LINK_BROKEN',
  'LINK_CANCELLED',
  'LINK_CORRUPT',
  'LINK_DENIED',
  'LINK_FAILED',
  'LINK_FULL',
  'LINK_LISTEN_FAILED',
  'LINK_LOST',
  'LINK_NO_ROUTE',
  'LINK_TIMEOUT',
  'LINK_TOO_LARGE',
  'LINK_UNREACHABLE',
  'LINK_VERSION',
  'LOCK_BUSY',
  'LOCK_LOST',
  'MIGRATION_FAILED',
  'NODE_TOO_OLD',
  'NOTIFY_FAILED',
  'OFFLOAD_COPY',
  'OFFLOAD_CRASHED',
  'OFFLOAD_EXIT',
  'OFFLOAD_FAILED',
  'OFFLOAD_MEMORY',
  'OFFLOAD_TIMEOUT',
  'OUTPUT_INVALID',
  'PACKAGE_MISSING',
  'PLAN_REFUSED',
  'PROOF_FAILED',
  'RATE_LIMITED',
  'RATE_UNSTORABLE',
  'REQUEST_INVALID',
  'REQUEST_TIMEOUT',
  'RESOURCE_FAILED',
  'RESOURCE_INVALID',
  'RESOURCE_TIMEOUT',
  'ROUTE_UNKNOWN',
  'ROW_BROKEN',
  'RUN_CANCELLED',
  'RUN_CRASHED',
  'RUN_FAILED',
  'RUN_LOGS_LOST',
  'RUN_TIMEOUT',
  'RUN_UNKNOWN',
  'RUN_UNSTORABLE',
  'SANDBOX_FAILED',
  'SANDBOX_MEMORY',
  'SANDBOX_TIMEOUT',
  'SCHEDULE_INVALID',
  'SCHEMA_NEWER',
  'SCHEMA_OLDER',
  'SERVICE_CRASHED',
  'SERVICE_INVALID',
  'SERVICE_UNKNOWN',
  'SETTINGS_INVALID',
  'SHARED_CONTENDED',
  'SHARED_INVALID',
  'SHARED_UNKNOWN',
  'SINK_FAILED',
  'SINK_MODEL_UNKNOWN',
  'SINK_ROW_INVALID',
  'SINK_SPILL_FULL',
  'SINK_TABLE_INVALID',
  'STATEMENT_TOO_LARGE',
  'STEP_DUPLICATE',
  'STEP_RESULT',
  'STEP_TIMEOUT',
  'STEP_WAITING',
  'STOP_INCOMPLETE',
  'STOPPED',
  'TIMEOUT',
  'TLS_INVALID',
  'TOKEN_EXISTS',
  'TOKEN_INVALID',
  'TOKEN_UNKNOWN',
  'TOKENS_FILE_INVALID',
  'TRANSACTION_ROLLED_BACK',
  'TRANSACTION_TIMEOUT',
  'USAGE',
  'WINDOW_BUSY',
  'WINDOW_UNKNOWN',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/**
 * An error that a person or a program can react to. @property code stable; one of {@link ERROR_CODES}. Compare this, never the message
 * @property details the wrong values as JSON-safe data, for `--json` and for logs
 */
export class PikoError extends Error {
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'PikoError'
    this.code = code
    this.details = Object.freeze({ ...options.details })
  }
}

/** Whether the value is a {@link PikoError}. Also recognises errors from another copy of this package or from a worker thread. */
export function isPikoError(error: unknown, code?: ErrorCode): error is PikoError {
  return (
    isError(error) &&
    propertyOf(error, 'name') === 'PikoError' &&
    safely(() => 'code' in error, false) &&
    (code === undefined || propertyOf(error, 'code') === code)
  )
}

/**
 * Converts any thrown value to an `Error`. An `Error` is returned unchanged, or as a replacement if reading it is not safe. For any other
 * value, the result is an error that describes it.
 */
export function toError(thrown: unknown): Error {
  if (isError(thrown)) return readable(thrown)
  return new Error(`a value that is not an Error was thrown: ${describeThrown(thrown)}`, { cause: thrown })
}
