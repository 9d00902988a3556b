import { chainOf } from '../errors-read.ts'
import { type ErrorCode, isPikoError } from '../errors.ts'

/** Codes of setup errors, which a person must correct. */
const CODES: readonly ErrorCode[] = [
  'PACKAGE_MISSING',
  'RESOURCE_INVALID',
  'SETTINGS_INVALID',
  'SINK_MODEL_UNKNOWN',
  'SINK_TABLE_INVALID',
]

/** Whether an error, or one of its causes, is a setup error, such as a missing package or table. No retry can correct it. */
export function isSetupError(error: unknown): boolean {
  return chainOf(error).some((link) => CODES.some((code) => isPikoError(link, code)))
}
