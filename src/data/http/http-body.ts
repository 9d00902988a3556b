import { pipeline, type Readable, Transform } from 'node:stream'
import { checkedBy } from '../../job/schemas/schema-check.ts'
import type { Plan } from './http-plan.ts'
import { tooLarge } from '../../http-client/read-all.ts'
import type { HttpHeaders } from './http-error.ts'

/** A body that does not have the expected form. The message contains no part of the body, which may be secret. */
export class WrongBody extends Error {}

/**
 * Returns a stream of the body. It fails if the body is larger than `maxBytes`. Its errors are those that `translate` returns. Destroying
 * the stream destroys the body.
 */
export function bodyStream(body: Readable, maxBytes: number, translate: (thrown: unknown) => Error): Readable {
  let bytes = 0
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.byteLength
      if (bytes > maxBytes) done(tooLarge(maxBytes))
      else done(null, piece)
    },
    destroy(error, done) {
      done(error && translate(error))
    },
  })
  // Without a listener, an error after the last read would end the process.
  stream.on('error', () => {})
  return pipeline(body, stream, () => {})
}

/** The maximum number of bytes of the body that are kept if the status of the response is not accepted. */
const MAX_FAILED_BYTES = 16_384

/** Reads the beginning of a body. If an error interrupts this, returns what was read before it; undefined if nothing was read. */
export async function readBeginning(body: Readable, headers: HttpHeaders): Promise<string | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece)
      bytes += piece.byteLength
      if (bytes >= MAX_FAILED_BYTES) break
    }
  } catch {
    // The caller reports the status of the response as the error. The body is only additional information.
  }
  if (bytes === 0) return undefined
  return textOf(Buffer.concat(pieces).subarray(0, MAX_FAILED_BYTES), headers)
}

/**
 * Converts a body to its value: the output of the schema, JSON, text or bytes.
 *
 * @throws WrongBody
 */
export function valueOf(bytes: Buffer, headers: HttpHeaders, { as, schema }: Pick<Plan, 'as' | 'schema'>): unknown {
  const kind = schema ? 'json' : (as ?? kindOf(headers['content-type']))
  if (kind === 'bytes') return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = textOf(bytes, headers)
  if (kind === 'text') return text
  // An empty body, such as that of a 204, is not JSON.
  const value = bytes.byteLength === 0 ? undefined : parsed(text)
  if (!schema) return value
  const answer = checkedBy(schema, value)
  if (!answer.issues) return answer.data
  const problems = answer.issues.map(({ path, message }) => `${path.map(String).join('.') || 'the body'}: ${message}`)
  throw new WrongBody(`has a body that the schema refuses: ${problems.slice(0, MAX_PROBLEMS).join('; ')}`, {
    cause: answer.cause,
  })
}

const MAX_PROBLEMS = 10

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's own message shows a part of the body, which may be secret.
    throw new WrongBody('has a body that is not JSON')
  }
}

const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i
const TEXT_TYPE =
  /^(?:text\/|application\/(?:[^;]*\+)?(?:xml|yaml|javascript|x-ndjson|ndjson|jsonl|graphql|x-www-form-urlencoded)\b)/i

function kindOf(contentType = ''): 'json' | 'text' | 'bytes' {
  if (JSON_TYPE.test(contentType)) return 'json'
  return TEXT_TYPE.test(contentType) ? 'text' : 'bytes'
}

const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]{1,40})/i

function textOf(bytes: Buffer, headers: HttpHeaders): string {
  const charset = CHARSET.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    // Node does not support this charset, so the text is decoded as UTF-8.
    return new TextDecoder().decode(bytes)
  }
}
