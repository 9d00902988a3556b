import { chainOf } from '../errors-read.ts'
import { type ErrorCode, isPikoError } from '../errors.ts'

/** Errors of the setup that a person must correct. */
const CODES: readonly ErrorCode[] = [
  'PACKAGE_MISSING',
  'RESOURCE_INVALID',
  'SETTINGS_INVALID',
  'SINK_MODEL_UNKNOWN',
  'SINK_TABLE_INVALID',
]

/** Whether an error, or one of its causes, is a fault of the setup, such as a missing package or table. No retry can solve it. */
export function isSetupError(error: unknown): boolean {
  return chainOf(error).some((link) => CODES.some((code) => isPikoError(link, code)))
}
