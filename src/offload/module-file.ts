import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, PikoError } from '../errors.ts'

/** The extensions to try if a file is missing, best first. A TypeScript file may replace its compiled file, and vice versa. */
const STAND_INS: Readonly<Record<string, readonly string[]>> = {
  '.ts': ['.js', '.mjs', '.mts', '.cjs', '.cts'],
  '.mts': ['.mjs', '.js', '.ts'],
  '.cts': ['.cjs', '.js', '.ts'],
  '.js': ['.ts', '.mjs', '.mts', '.cjs', '.cts'],
  '.mjs': ['.mts', '.js', '.ts'],
  '.cjs': ['.cts', '.js', '.ts'],
  '': ['.ts', '.js', '.mts', '.mjs', '.cts', '.cjs'],
}

const NEXT_STEP = "name it as new URL('./parse.ts', import.meta.url)"

/**
 * Returns the module's URL as a `file:` URL.
 *
 * @throws PikoError `OFFLOAD_FAILED` for any other URL
 */
export function moduleUrl(module: URL | string): URL {
  const url = URL.parse(String(module))
  if (url?.protocol === 'file:') return url
  throw new PikoError(
    'OFFLOAD_FAILED',
    `the module to offload is ${describe(String(module))}; expected a file: URL, ${NEXT_STEP}`,
    { details: { module: String(module) } },
  )
}

/**
 * Returns the file to load: the given one, or its compiled or source file. So the same path works during development with `parse.ts`, and
 * in the built package, which has only `parse.js`.
 *
 * @throws PikoError `OFFLOAD_FAILED` with the paths that were tried
 */
export function moduleFile(url: URL): URL {
  const extension = extname(url.pathname)
  const stem = url.pathname.slice(0, url.pathname.length - extension.length)
  const candidates = [url, ...(STAND_INS[extension] ?? []).map((other) => withPath(url, stem + other))]
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found !== undefined) return found
  const tried = candidates.map((candidate) => fileURLToPath(candidate))
  throw new PikoError(
    'OFFLOAD_FAILED',
    `the module to offload was not found; tried ${tried.join(', ')}; ${NEXT_STEP}`,
    {
      details: { tried },
    },
  )
}

function withPath(url: URL, pathname: string): URL {
  const other = new URL(url)
  other.pathname = pathname
  return other
}
