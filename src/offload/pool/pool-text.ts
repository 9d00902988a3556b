import { problemsText, readOptions } from '../../options.ts'
import { type OffloadOptions, POOL_CHECKS } from './pool-options.ts'

/** The options that can be written in settings. */
type TextOptions = Pick<OffloadOptions, 'size' | 'memory' | 'timeout' | 'idleTimeout' | 'share'>

export interface NamedOptions {
  readonly name: string
  readonly options: TextOptions
}

export const POOL_TEXT_EXPECTED =
  'expected the name of a pool and its options, such as "parsers size=8 memory=512MB timeout=5m"; ' +
  'options are size, memory, timeout, idleTimeout and share'

const { size, memory, timeout, idleTimeout, share } = POOL_CHECKS
const NUMBERS = new Set(['size', 'share'])

/** Reads the name and the options of a pool from a string in settings. Returns the problem if the text is invalid. */
export function readPoolText(text: string): NamedOptions | { readonly problem: string } {
  const [name = '', ...parts] = text.trim().split(/\s+/)
  const entries = parts.map((part) => part.split('='))
  if (name === '' || name.includes('=') || parts.length === 0 || entries.some((entry) => entry.length !== 2))
    return { problem: POOL_TEXT_EXPECTED }
  const given = Object.fromEntries(
    entries.map(([key = '', value = '']) => [key, NUMBERS.has(key) ? Number(value) : value]),
  )
  const checks = { size, memory, timeout, idleTimeout, share }
  const { options, problems } = readOptions<TextOptions>(given, checks, '')
  return problems.length === 0 ? { name, options } : { problem: problemsText(`pool ${name}`, problems) }
}
