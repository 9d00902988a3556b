import { isObject, propertyOf, safely } from '../../errors-read.ts'
import { broken, MAX_HEAD_BYTES } from './frame.ts'

export const MAX_ROUTE = 1_024

export type MessageKind = 'request' | 'event' | 'reply'
/** The form of a body. `json`: one value. `lines`: JSON values, each followed by a line feed. `raw`: bytes. */
export type BodyType = 'json' | 'lines' | 'raw'

/** The head of a message, which comes before its body. */
export interface Head {
  readonly kind: MessageKind
  readonly route?: string
  /** The id of the request that a reply answers. */
  readonly of?: number
  readonly status?: number
  readonly type: BodyType
  /** The length of the body in bytes, if it is known. */
  readonly size?: number
  readonly deadlineMs?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly meta?: unknown
}

/** The end of a reply. A `status` of 400 or more means that the reply failed after it began. */
export interface ReplyEnd {
  readonly status: number
  readonly body: unknown
}

const KINDS: readonly unknown[] = ['request', 'event', 'reply']
const TYPES: readonly unknown[] = ['json', 'lines', 'raw']

/** Returns a head as JSON. Most heads have the same few fields, and writing these without `JSON.stringify` is three times as fast. */
export function headText(head: Head): string {
  const { kind, route, of, type, status, size, deadlineMs, headers, meta } = head
  if (status !== undefined || size !== undefined || headers !== undefined || meta !== undefined)
    return JSON.stringify(head)
  if (kind === 'reply') return `{"kind":"reply","of":${of},"type":"${type}"}`
  const deadline = deadlineMs === undefined ? '' : `,"deadlineMs":${deadlineMs}`
  return `{"kind":"${kind}","route":${JSON.stringify(route)},"type":"${type}"${deadline}}`
}

/**
 * Splits the body of an OPEN frame into the head and the first bytes.
 *
 * @throws PikoError `LINK_BROKEN`
 */
export function readOpen(body: Buffer, maxFrame: number): { readonly head: Head; readonly first: Buffer } {
  const length = body.readUInt32BE(0)
  if (length > MAX_HEAD_BYTES || 4 + length > body.length) throw broken(`a head of ${length} bytes`)
  const first = body.subarray(4 + length)
  if (first.length > maxFrame) throw broken(`${first.length} bytes in one frame`)
  const head = readHead(body.toString('utf8', 4, 4 + length))
  if (!head) throw broken('a head that cannot be read')
  return { head, first }
}

/** Matches a reply in the form that {@link headText} writes. */
const REPLY = /^\{"kind":"reply","of":([1-9]\d{0,8}),"type":"(json|lines|raw)"\}$/
const MAX_KEPT = 256
/** Heads that have already been parsed, because programs often call the same few routes. */
const KEPT = new Map<string, Head>()

function readHead(text: string): Head | undefined {
  const kept = KEPT.get(text)
  if (kept) return kept
  const reply = REPLY.exec(text)
  if (reply) return { kind: 'reply', of: Number(reply[1]), type: reply[2] as BodyType }
  const head = safely(() => JSON.parse(text) as unknown, undefined)
  if (!isHead(head)) return undefined
  // Only heads without headers and meta are kept, because handlers get these and may change them.
  if (text.length <= MAX_KEPT && head.kind !== 'reply' && head.headers === undefined && head.meta === undefined) {
    if (KEPT.size >= MAX_KEPT) KEPT.clear()
    KEPT.set(text, head)
  }
  return head
}

function isHead(head: unknown): head is Head {
  if (!isObject(head)) return false
  const read = (key: keyof Head): unknown => (Object.hasOwn(head, key) ? propertyOf(head, key) : undefined)
  const [kind, route] = [read('kind'), read('route')]
  if (!KINDS.includes(kind) || !TYPES.includes(read('type'))) return false
  if (kind === 'reply' ? !isId(read('of')) : typeof route !== 'string' || route.length > MAX_ROUTE) return false
  const [status, size, deadlineMs, headers] = [read('status'), read('size'), read('deadlineMs'), read('headers')]
  return (
    (status === undefined || isCount(status, 999)) &&
    (size === undefined || isCount(size, Number.MAX_SAFE_INTEGER)) &&
    (deadlineMs === undefined || isCount(deadlineMs, Number.MAX_SAFE_INTEGER)) &&
    (headers === undefined || isTexts(headers))
  )
}

function isId(value: unknown): boolean {
  return isCount(value, 2 ** 32 - 1) && value !== 0
}

function isCount(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
}

function isTexts(headers: unknown): boolean {
  return (
    isObject(headers) && !Array.isArray(headers) && Object.values(headers).every((text) => typeof text === 'string')
  )
}

/**
 * Reads the part of an END frame after the trailer.
 *
 * @throws PikoError `LINK_BROKEN`
 */
export function readReplyEnd(bytes: Buffer): ReplyEnd | undefined {
  if (bytes.length === 0) return undefined
  const end = safely(() => JSON.parse(bytes.toString()) as unknown, undefined)
  const status = propertyOf(end, 'status')
  if (typeof status !== 'number' || !isCount(status, 999)) throw broken('an end of a reply that cannot be read')
  return { status, body: propertyOf(end, 'body') }
}
