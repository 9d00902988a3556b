import { describe } from '../errors.ts'
import type { OptionCheck } from '../options.ts'
import { MAX_DURATION_MS, readDuration } from './duration.ts'

export function aDuration(minMs = 0, maxMs = MAX_DURATION_MS): OptionCheck {
  return (value) => {
    const reading = readDuration(value, maxMs)
    if ('expected' in reading) return `is ${describe(value)}; expected ${reading.expected}`
    return reading.ms >= minMs ? undefined : `is ${describe(value)}; expected at least "${minMs}ms"`
  }
}
