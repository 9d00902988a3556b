import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { LiveReader } from '../../../src/engine/live/live-reader.ts'
import { Segment } from '../../../src/engine/live/segment.ts'
import { writeEvents } from '../../../src/http/api/live/stream.ts'
import type { LiveEvent } from '../../../src/live/live-event.ts'
import { eventually } from '../../support/app.ts'

const BATCH = 100
const EVENT_BYTES = 10_000
const BATCH_BYTES = BATCH * EVENT_BYTES
const DRAIN_MS = 300

/** Always has another batch of 1 MB. */
const feed = {
  last: Number.MAX_SAFE_INTEGER,
  isComplete: true,
  changed: Promise.resolve(),
  recent: (after: number) => [
    new Segment(
      Array.from({ length: BATCH }, (_, n) => eventOf(after + n + 1)),
      after,
      after + BATCH,
    ),
  ],
  older: () => Promise.reject(new Error('all events are in memory')),
}

function eventOf(id: number): LiveEvent {
  return { id, at: '2026-01-01T00:00:00.000Z', kind: 'config', jobId: 'x'.repeat(EVENT_BYTES), version: 1 }
}

interface Served {
  readonly port: number
  readonly response: Promise<WeakRef<ServerResponse>>
  readonly reader: LiveReader
  readonly ended: Promise<void>
}

/** A server that answers with the stream of events. */
async function serve(): Promise<Served> {
  const [seen, ended] = [Promise.withResolvers<WeakRef<ServerResponse>>(), Promise.withResolvers<void>()]
  const reader = new LiveReader(feed, 0, () => {})
  const server = createServer((_request, response) => {
    seen.resolve(new WeakRef(response))
    void writeEvents(response, reader, {}, DRAIN_MS).then(ended.resolve, ended.reject)
    server.close()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, reader, response: seen.promise, ended: ended.promise }
}

it('cuts off a reader that stops, after the stated time, and keeps nothing for it', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const { port, response, reader, ended } = await serve()
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.pause().write('GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const held = await response
  let waitingSince = 0
  let most = 0
  const watch = setInterval(() => {
    const bytes = held.deref()?.writableLength ?? 0
    most = Math.max(most, bytes)
    // The kernel still takes something while this falls.
    if (bytes === 0 || waitingSince === 0) waitingSince = performance.now()
  }, 5)
  await ended
  clearInterval(watch)
  expect(reader.isClosed).toBe(true)
  expect(performance.now() - waitingSince).toBeLessThan(10 * DRAIN_MS)
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(2 * BATCH_BYTES)
  await eventually(() => {
    gc()
    expect(held.deref() === undefined).toBe(true)
  })
  socket.destroy()
})

it('has a fixed number of listeners for a reader that pauses again and again', async () => {
  const { port, response, ended } = await serve()
  const socket = connect(port, '127.0.0.1')
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.write('GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const held = await response
  await eventually(() => expect(bytes).toBeGreaterThan(20 * BATCH_BYTES))
  const listeners = ['close', 'drain'].map((name) => held.deref()?.listenerCount(name))
  await eventually(() => expect(bytes).toBeGreaterThan(40 * BATCH_BYTES))
  // At most one wait at a time.
  for (const [index, name] of ['close', 'drain'].entries())
    expect(held.deref()?.listenerCount(name)).toBeLessThanOrEqual((listeners[index] ?? 0) + 1)
  socket.destroy()
  await ended
})
