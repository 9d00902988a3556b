import { readFileSync, statSync } from 'node:fs'
import { parse } from 'smol-toml'
import { isRole, ROLES } from '../access/actor.ts'
import {
  digestOf,
  globsProblem,
  MAX_TOKEN_CHARACTERS,
  MIN_TOKEN_CHARACTERS,
  nameProblem,
  type TokenGrant,
} from '../access/token.ts'
import { describe, PikoError } from '../errors.ts'
import { messageOf } from '../errors-read.ts'
import { problemsText } from '../options.ts'
import { readInstant } from '../time/instant.ts'

/** The tokens of a file, by their digests. */
export type FileTokens = ReadonlyMap<string, TokenGrant>

const MAX_FILE_BYTES = 1_000_000
const FIELDS: readonly string[] = ['name', 'role', 'token', 'sha256', 'jobs', 'expires']

/** Returns a mark that changes when the file may have changed. Undefined if there is no file. */
export function fileMark(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats && `${stats.mtimeMs} ${stats.size} ${stats.ino}`
}

/** Reads the tokens file. @throws PikoError `TOKENS_FILE_INVALID` naming every problem */
export function readTokensFile(path: string): FileTokens {
  let text: string
  try {
    if (statSync(path).size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (thrown) {
    throw invalid(path, [`the file can't be read: ${messageOf(thrown)}`])
  }
  const { tokens, problems } = tokensOf(text)
  if (problems.length > 0) throw invalid(path, problems)
  return tokens
}

/** Parses the text of a tokens file. Its problems never quote a token. Pure. */
export function tokensOf(text: string): { readonly tokens: FileTokens; readonly problems: readonly string[] } {
  let file: Record<string, unknown>
  try {
    file = parse(text)
  } catch {
    return { tokens: new Map(), problems: ['it is not valid TOML'] }
  }
  const tokens = new Map<string, TokenGrant>()
  const problems: string[] = []
  const { token: list = [], ...others } = file
  for (const key of Object.keys(others)) problems.push(`unknown key ${describe(key)}; expected [[token]] entries`)
  const entries: readonly unknown[] = Array.isArray(list) ? list : []
  if (!Array.isArray(list)) problems.push('token is not a list; write [[token]] above each entry')
  const names = new Set<unknown>()
  for (const [index, entry] of entries.entries()) {
    const read = readEntry(entry as Record<string, unknown>)
    const place = `token ${index + 1}`
    for (const problem of read.problems) problems.push(`${place}: ${problem}`)
    if (!read.grant) continue
    if (tokens.has(read.digest) || names.has(read.grant.name))
      problems.push(`${place}: its name or its token is that of an earlier one`)
    names.add(read.grant.name)
    tokens.set(read.digest, read.grant)
  }
  return { tokens, problems }
}

function readEntry(entry: Record<string, unknown>): {
  readonly digest: string
  readonly grant?: TokenGrant
  readonly problems: readonly string[]
} {
  const { name, role, token, sha256, jobs, expires } = entry
  const expiry = expires instanceof Date ? readInstant(new Date(expires.getTime())) : readInstant(expires)
  const problems = [
    ...Object.keys(entry)
      .filter((key) => !FIELDS.includes(key))
      .map((key) => `unknown key ${describe(key)}; expected ${FIELDS.join(', ')}`),
    ...prefixed(`name is ${describe(name)}`, nameProblem(name)),
    ...(isRole(role) ? [] : [`role is ${describe(role)}; expected one of ${ROLES.join(', ')}`]),
    ...(jobs === undefined ? [] : prefixed(`jobs is ${describe(jobs)}`, globsProblem(jobs))),
    ...(expires === undefined || 'date' in expiry
      ? []
      : [`expires is ${describe(expires)}; expected ${expiry.expected}`]),
    ...secretProblems(token, sha256),
  ]
  if (problems.length > 0 || !isRole(role)) return { digest: '', problems }
  const grant = {
    name: String(name),
    role,
    jobs: jobs as readonly string[] | undefined,
    expiresAt: expires !== undefined && 'date' in expiry ? expiry.date : undefined,
  }
  return { digest: typeof token === 'string' ? digestOf(token) : String(sha256).toLowerCase(), grant, problems }
}

function secretProblems(token: unknown, sha256: unknown): string[] {
  if ((token === undefined) === (sha256 === undefined)) return ['expected either token or sha256']
  if (sha256 !== undefined)
    return typeof sha256 === 'string' && /^[\da-f]{64}$/i.test(sha256) ? [] : ['sha256 is not 64 hexadecimal digits']
  const isLong = typeof token === 'string' && /^[!-~]+$/.test(token)
  return isLong && token.length >= MIN_TOKEN_CHARACTERS && token.length <= MAX_TOKEN_CHARACTERS
    ? []
    : [
        `token does not have ${MIN_TOKEN_CHARACTERS} to ${MAX_TOKEN_CHARACTERS} visible ASCII characters; openssl rand -hex 32 makes one`,
      ]
}

function prefixed(what: string, problem: string | undefined): string[] {
  return problem === undefined ? [] : [`${what}; ${problem}`]
}

function invalid(path: string, problems: readonly string[]): PikoError {
  return new PikoError('TOKENS_FILE_INVALID', problemsText(`[http] tokens_file ${path}`, problems), {
    details: { path, problems },
  })
}
