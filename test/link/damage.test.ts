import fc from 'fast-check'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { defineRoutes, linkOf } from 'piko/link'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { END, HEADER_BYTES, LAST, sealFrame } from '../../src/link/wire/frame.ts'
import { PREFACE_BYTES } from '../../src/link/wire/preface.ts'
import { line } from './lines.ts'
import { serving } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const routes = (seen: unknown[]): ReturnType<typeof defineRoutes> =>
  defineRoutes().on('/note', ({ body }) => {
    seen.push(body)
    return body
  })

/** What the side that dials sends in a short session. */
async function recorded(): Promise<Buffer> {
  const sent: Buffer[] = []
  const [one, other] = line(Infinity, (bytes) => {
    sent.push(Buffer.from(bytes))
    return bytes
  })
  const link = linkOf(one, { role: 'dial', maxFrame: 16_384 })
  const back = linkOf(other, { role: 'listen', routes: [routes([])], maxFrame: 16_384 })
  expect(await link.call('/note', { id: 1 }, { timeout: '60s' })).toEqual({ id: 1 })
  // Two frames with data, and an end.
  await link.call('/note', 'x'.repeat(20_000))
  await link.emit('done', 'bye')
  await Promise.all([link.close(), back.close()])
  return Buffer.concat(sent)
}

/** Sent bytes in which every message that contains this text has a wrong SHA-256. All frames have a correct CRC. */
function wrongSums(text: string): (bytes: Buffer) => Buffer {
  const wrong = new Set<number>()
  let waiting = Buffer.alloc(0)
  let isBegun = false
  return (bytes) => {
    waiting = Buffer.concat([waiting, bytes])
    let at = isBegun ? 0 : PREFACE_BYTES
    isBegun = true
    while (waiting.length >= at + HEADER_BYTES) {
      const end = at + HEADER_BYTES + waiting.readUIntBE(at + 8, 3)
      if (waiting.length < end) break
      const frame = waiting.subarray(at, end)
      at = end
      const [type, id] = [frame[1] as number, frame.readUInt32BE(4)]
      if (frame.includes(text)) wrong.add(id)
      if (!wrong.has(id) || (frame[2] !== LAST && type !== END)) continue
      // The trailer is at the end of the frame; its last byte belongs to the SHA-256.
      frame[frame.length - 1] = (frame.at(-1) as number) ^ 1
      sealFrame(frame, type, frame[2] === LAST, frame[3] as number, id)
    }
    const complete = waiting.subarray(0, at)
    waiting = waiting.subarray(at)
    return complete
  }
}

/** A stream that has received these bytes, and whose other end stays silent. */
function heard(bytes: Buffer): Duplex {
  const duplex = new Duplex({ read() {}, write: (_bytes, _encoding, callback) => callback() })
  duplex.push(bytes)
  return duplex
}

describe('damage on the line', () => {
  it('to any single byte of a session never delivers a wrong message, and ends the connection or that message', async () => {
    const session = await recorded()
    const good = [{ id: 1 }, 'x'.repeat(20_000)]
    // Inside of the long text one byte is like any other.
    const places = Array.from({ length: session.length }, (_, at) => at).filter(
      (at) => at < 500 || at % 97 === 0 || at > session.length - 300,
    )
    for (const at of places) {
      const changed = Buffer.from(session)
      changed[at] = (changed[at] as number) ^ (1 << (at % 8))
      const seen: unknown[] = []
      const link = linkOf(heard(changed), { role: 'listen', routes: [routes(seen)], ping: '1h' })
      const reason = await Promise.race([link.whenClosed(), idle()])
      expect([at, reason?.code]).toEqual([at, 'LINK_BROKEN'])
      for (const value of seen) expect(good).toContainEqual(value)
      link.destroy()
    }
  })

  it('of any kind, also random bytes, breaks nothing else', async () => {
    const session = await recorded()
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 0, max: session.length }),
        async (noise, at) => {
          const seen: unknown[] = []
          const stream = heard(Buffer.concat([session.subarray(0, at), noise, session.subarray(at)]))
          const link = linkOf(stream, { role: 'listen', routes: [routes(seen)], ping: '1h' })
          await Promise.race([link.whenClosed(), idle()])
          for (const value of seen) expect([{ id: 1 }, 'x'.repeat(20_000)]).toContainEqual(value)
          link.destroy()
        },
      ),
      { numRuns: 300 },
    )
  })

  it('cut off in the middle of a frame is noticed', async () => {
    const session = await recorded()
    const stream = heard(session.subarray(0, 200))
    const link = linkOf(stream, { role: 'listen' })
    stream.push(null)
    expect((await link.whenClosed()).code).toBe('LINK_BROKEN')
  })
})

describe('a message whose SHA-256 is wrong', () => {
  it('fails alone, with LINK_CORRUPT: a request, a reply, an event, a stream of many frames', async () => {
    const seen: unknown[] = []
    const gate = Promise.withResolvers<string>()
    const served = routes(seen)
      .on('/wait', () => gate.promise)
      .stream('/many', async function* ({ body }) {
        for (let index = 0; index < 4; index++) yield Buffer.from(String(body).repeat(10_000))
      })
    const [one, other] = line(Infinity, wrongSums('spoiled'))
    const link = linkOf(one, { role: 'dial', routes: [served] })
    const back = linkOf(other, { role: 'listen', routes: [served] })
    onTestFinished(() => Promise.all([link.close(), back.close()]).then(() => {}))
    const waiting = link.call('/wait')
    back.events.on('price', (price) => seen.push(price))
    const corrupt = { code: 'LINK_CORRUPT', message: expect.stringContaining('arrived damaged') as unknown }

    // What this end sends is spoiled: requests in one frame and in several, an event.
    await expect(link.call('/note', 'spoiled')).rejects.toMatchObject(corrupt)
    await expect(link.call('/note', 'spoiled'.repeat(15_000))).rejects.toMatchObject(corrupt)
    await link.emit('price', 'spoiled')
    await link.emit('price', 'good')
    expect(await link.call('/note', 'whole')).toBe('whole')
    expect(seen).toEqual(['good', 'whole'])

    // And so are its replies.
    await expect(back.call('/note', 'spoiled')).rejects.toMatchObject(corrupt)
    await expect(back.call('/note', 'spoiled'.repeat(15_000))).rejects.toMatchObject(corrupt)
    const reading = async (): Promise<void> => {
      for await (const chunk of back.stream('/many', 'spoiled')) expect(String(chunk)).toContain('spoiled')
    }
    await expect(reading()).rejects.toMatchObject(corrupt)
    expect(await back.call('/note', 'also whole')).toBe('also whole')

    gate.resolve('undisturbed')
    expect(await waiting).toBe('undisturbed')
    expect([link.state, link.stats().open, back.stats().open]).toEqual(['up', 0, 0])
  })
})

/** Longer than everything that arrived takes to be read. */
async function idle(): Promise<undefined> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  return undefined
}

describe('a stranger at the port', () => {
  it('is cut off without a flood of lines, while others are served', async () => {
    const lines: unknown[] = []
    const note = (fields: unknown): void => void lines.push(fields)
    const log = { trace: note, debug: note, info: () => {}, warn: note, error: note }
    const server = await serving({ routes: [routes([])], log, handshake: '300ms' })
    const port = Number((server.url ?? '').split(':').at(-1))
    const noise = ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(3_000, 7), 'PIKOLINK', Buffer.alloc(0)]
    const ended = Array.from({ length: 150 }, async (_, index) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.write(noise[index % noise.length] as Buffer)
      socket.resume()
      await closed
    })
    await Promise.all(ended)
    await vi.waitUntil(() => server.links.size === 0, { timeout: PATIENCE_MS })
    expect(lines.length).toBeLessThan(3)
  })
})
