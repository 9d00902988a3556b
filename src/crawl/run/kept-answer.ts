import { isObject, propertyOf } from '../../errors-read.ts'
import { fromJson } from '../../json/json.ts'
import type { Answer } from '../downloader.ts'

/** What a response is kept for. `'parse'`: the next try parses it and sends no request. `'look'`: only people read it. */
export type KeptFor = 'parse' | 'look'

/** A response that an earlier try kept. */
export interface KeptAnswer {
  readonly keptFor: KeptFor
  readonly answer: Answer
  /** The name of the session that loaded the response; undefined without a session. */
  readonly session?: string | undefined
}

const LINE_END = 10

/** Encodes a kept response: one line of JSON, then the body. */
export function keptBytes({ keptFor, answer, session }: KeptAnswer): Uint8Array {
  const { bytes, url, status, headers } = answer
  const head = JSON.stringify({ keptFor, url, status, headers, session })
  return Buffer.concat([Buffer.from(`${head}\n`), bytes])
}

/** Decodes the result of {@link keptBytes}. Returns undefined for any other bytes. */
export function keptAnswer(kept: Uint8Array | undefined): KeptAnswer | undefined {
  const end = kept?.indexOf(LINE_END) ?? -1
  if (!kept || end === -1) return undefined
  const head = fromJson(Buffer.from(kept.subarray(0, end)).toString())
  const url = propertyOf(head, 'url')
  const status = propertyOf(head, 'status')
  const headers = propertyOf(head, 'headers')
  const session = propertyOf(head, 'session')
  if (typeof url !== 'string' || typeof status !== 'number' || !isObject(headers)) return undefined
  return {
    keptFor: propertyOf(head, 'keptFor') === 'parse' ? 'parse' : 'look',
    answer: {
      url,
      status,
      headers: headers as Answer['headers'],
      // Copied to a separate buffer, because a step may transfer it to a thread.
      bytes: Uint8Array.from(kept.subarray(end + 1)),
      ms: 0,
      isCached: false,
    },
    session: typeof session === 'string' ? session : undefined,
  }
}
