import { isWhole } from '../errors-read.ts'
import { expecting } from '../options.ts'

/** The default number of calls that run at the same time. */
export const DEFAULT_CONCURRENCY = 8

export const aConcurrency = expecting('a whole number of at least 1', (value) => isWhole(value) && value >= 1)
