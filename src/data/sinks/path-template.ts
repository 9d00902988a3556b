import { isAbsolute } from 'node:path'
import { describe } from '../../errors.ts'
import { nearestName } from '../../options.ts'

/** The values of a path's placeholders. `window` is undefined if the run has none. */
export interface PathValues {
  readonly job: string
  readonly run: number
  readonly window: { readonly start: Date; readonly end: Date } | undefined
  /** The time zone of `{date}`. */
  readonly timezone: string
}

export interface PathTemplate {
  /** The folder before the first placeholder, where the sink keeps its temporary files. */
  readonly root: string
  readonly names: ReadonlySet<PlaceholderName>
  /** Returns the path of a file relative to `root`, with `/` between its parts. */
  fill(values: PathValues, part?: number): string
}

export type PlaceholderName = (typeof PLACEHOLDERS)[number]
const PLACEHOLDERS = ['job', 'window', 'window.start', 'window.end', 'date', 'run', 'part'] as const

/** Characters with a special meaning in a file system, a shell or an object store. */
const UNSAFE = /[\0-\x1f\x7f\\:*?"<>|]/g
const MAX_CHARACTERS = 1_000

type Piece = { readonly text: string } | { readonly name: PlaceholderName }

/**
 * Parses a path with placeholders.
 *
 * @returns the template, or all problems of the text
 */
export function pathTemplate(
  path: unknown,
): { readonly template: PathTemplate; readonly problems: [] } | { readonly problems: string[] } {
  if (typeof path !== 'string' || path === '') {
    return { problems: [`path is ${describe(path)}; expected a string such as 'out/{job}/{window}.jsonl'`] }
  }
  const { pieces, problems } = piecesOf(path)
  problems.push(...textProblems(path))
  if (problems.length > 0) return { problems }
  const cut = path.slice(0, path.includes('{') ? path.indexOf('{') : path.length).lastIndexOf('/')
  const root = cut < 0 ? '.' : path.slice(0, cut) || '/'
  const [first, ...others] = pieces
  const below = cut < 0 || !first || !('text' in first) ? pieces : [{ text: first.text.slice(cut + 1) }, ...others]
  const names = new Set(pieces.flatMap((piece) => ('name' in piece ? [piece.name] : [])))
  const fill: PathTemplate['fill'] = (values, part) =>
    below.map((piece) => ('text' in piece ? piece.text : valueOf(piece.name, values, part))).join('')
  return { template: { root, names, fill }, problems: [] }
}

function piecesOf(path: string): { readonly pieces: Piece[]; readonly problems: string[] } {
  const pieces: Piece[] = []
  const problems: string[] = []
  for (const token of path.split(/(\{[^{}]*\})/)) {
    if (token === '') continue
    const inner = /^\{(.*)\}$/.exec(token)?.[1]
    if (inner === undefined) {
      if (/[{}]/.test(token))
        problems.push(`path has a single brace in ${describe(token)}; expected pairs, as in {window}`)
      pieces.push({ text: token })
    } else if (isPlaceholder(inner)) pieces.push({ name: inner })
    else problems.push(unknownPlaceholder(inner))
  }
  return { pieces, problems }
}

function isPlaceholder(name: string): name is PlaceholderName {
  return (PLACEHOLDERS as readonly string[]).includes(name)
}

function unknownPlaceholder(name: string): string {
  const nearest = nearestName(name, PLACEHOLDERS)
  const advice =
    nearest === undefined
      ? `expected ${PLACEHOLDERS.map((one) => `{${one}}`).join(', ')}`
      : `did you mean {${nearest}}?`
  return `path has the unknown placeholder {${name}}; ${advice}`
}

function textProblems(path: string): string[] {
  const problems: string[] = []
  const segments = path.split('/')
  if (segments.includes('..')) problems.push(`path has a ".." folder; expected a path that does not leave its folder`)
  const rest = isAbsolute(path) ? segments.slice(1) : segments
  if (rest.at(-1) === '') problems.push('path ends with "/"; expected the name of a file')
  else if (rest.some((segment) => segment === '')) problems.push('path has an empty folder name ("//")')
  const unsafe = [...new Set(path.match(UNSAFE) ?? [])]
  if (unsafe.length > 0) {
    problems.push(
      `path has ${unsafe.map((one) => JSON.stringify(one)).join(', ')}, which not every file system accepts`,
    )
  }
  if (path.length > MAX_CHARACTERS)
    problems.push(`path has ${path.length} characters; expected at most ${MAX_CHARACTERS}`)
  const folders = segments.slice(0, -1).join('/')
  if (folders.includes('{part}')) problems.push('path has {part} in a folder name; expected it in the name of the file')
  if (path.split('{part}').length > 2) problems.push('path has {part} twice; expected it once')
  return problems
}

function valueOf(name: PlaceholderName, { job, run, window, timezone }: PathValues, part: number | undefined): string {
  switch (name) {
    case 'job':
      return safeName(job)
    case 'run':
      return String(run)
    case 'part':
      return part === undefined ? '{part}' : String(part).padStart(PART_DIGITS, '0')
    case 'window':
    case 'window.start':
      return window ? stamp(window.start) : ''
    case 'window.end':
      return window ? stamp(window.end) : ''
    case 'date':
      return window ? dateIn(window.start, timezone) : ''
  }
}

/** The minimum number of digits of a part number. So up to 100,000 names are in the right order when they are sorted as text. */
const PART_DIGITS = 5

/** Formats an instant as `20260101T000000Z`. Some file systems do not allow the colons of ISO 8601. */
function stamp(instant: Date): string {
  return instant
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.000Z$/, 'Z')
}

/** Formats the date of an instant in the time zone, such as `2026-01-01`. */
function dateIn(instant: Date, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
  return parts.format(instant)
}

/**
 * Encodes a string as the name of a folder or file. Leading dots, and all characters except ASCII letters, digits and `_ . -`, become `%`
 * and their bytes in hexadecimal digits, so different strings have different names.
 */
function safeName(text: string): string {
  const escape = (character: string): string =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  return text.replace(/[^\w.-]/gu, escape).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length))
}
