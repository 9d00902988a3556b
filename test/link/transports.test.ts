import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineRoutes, duplexFrom, type Link, linkOf } from 'piko/link'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Certificates } from '../support/certificates.ts'
import { line } from './lines.ts'
import { dialled, serving } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

/** Answers with the SHA-256 of what arrived, and counts. */
function hashing(): { readonly routes: ReturnType<typeof defineRoutes>; readonly count: () => number } {
  let answered = 0
  const routes = defineRoutes()
    .on('/hash', ({ body }) => {
      answered++
      return createHash('sha256')
        .update(body as Buffer)
        .digest('hex')
    })
    .on('/echo', ({ body }) => body)
  return { routes, count: () => answered }
}

/** Messages of each end. The full size is PIKO_TEST_MESSAGES=5000. */
const MESSAGES = Number(process.env['PIKO_TEST_MESSAGES'] ?? 120)
const RANDOM = randomBytes(262_144)

/** Sends messages of 0 to `max` bytes, many at the same time, and checks each answer. */
async function sendMany(link: Link, count: number, max: number): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const bytes = RANDOM.subarray(0, Math.floor((max * ((index * 7_919) % count) ** 3) / count ** 3))
      const level = (index % 4) as 0 | 1 | 2 | 3
      const sha = createHash('sha256').update(bytes).digest('hex')
      if (index % 3 === 0) expect(await link.call('/echo', bytes, { level, timeout: '5m' })).toEqual(bytes)
      else expect(await link.call('/hash', bytes, { level, timeout: '5m' })).toBe(sha)
    }
  }
  await Promise.all(Array.from({ length: 50 }, worker))
}

async function both(
  one: Link,
  other: Link,
  counts: readonly (() => number)[],
  count: number,
  max: number,
): Promise<void> {
  await Promise.all([sendMany(one, count, max), sendMany(other, count, max)])
  const hashes = count - Math.ceil(count / 3)
  expect(counts.map((counted) => counted())).toEqual([hashes, hashes])
  await vi.waitUntil(() => one.stats().open + other.stats().open === 0, { timeout: PATIENCE_MS })
  expect([one.stats().unreadBytes, other.stats().unreadBytes]).toEqual([0, 0])
}

describe('messages from both ends at the same time', () => {
  it('arrive undamaged, each answered once, over TLS with a secret', async () => {
    const certificates = await Certificates.create()
    onTestFinished(() => certificates.remove())
    certificates.sign('DNS:localhost')
    const [ca, cert, key] = ['authority.pem', 'server.pem', 'server.key'].map((name) =>
      readFileSync(certificates.file(name)),
    )
    const [here, there] = [hashing(), hashing()]
    const secret = 'a secret of sixteen characters'
    const up = Promise.withResolvers<Link>()
    const server = await serving({
      tls: { cert: cert ?? '', key: key ?? '' },
      secret,
      routes: [there.routes],
      onConnection: up.resolve,
    })
    const url = (server.url ?? '').replace('127.0.0.1', 'localhost')
    const link = await dialled({ url, tls: { ca: ca ?? '' }, secret, routes: [here.routes] })
    await both(link, await up.promise, [here.count, there.count], MESSAGES, 262_144)
  })

  it.each([false, true])('arrive if they were sent as soon as the link was open, WebSocket: %s', async (websocket) => {
    const heard = Promise.withResolvers<unknown>()
    const server = await serving({
      websocket,
      onConnection: (link) => {
        link.events.once('hello', heard.resolve)
        void link.emit('price', { eur: 1 })
      },
    })
    const link = await dialled({ url: server.url ?? '' })
    const price = new Promise((resolve) => link.events.once('price', resolve))
    await link.emit('hello', 'you')
    expect([await price, await heard.promise]).toEqual([{ eur: 1 }, 'you'])
  })

  it('arrive undamaged over a WebSocket', async () => {
    const [here, there] = [hashing(), hashing()]
    const up = Promise.withResolvers<Link>()
    const server = await serving({ websocket: true, path: '/link', routes: [there.routes], onConnection: up.resolve })
    expect(server.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/link$/)
    const link = await dialled({ url: server.url ?? '', routes: [here.routes] })
    await both(link, await up.promise, [here.count, there.count], MESSAGES, 262_144)
  })

  it('arrive undamaged over a stream that hands over one byte a read', async () => {
    const [here, there] = [hashing(), hashing()]
    const [one, other] = line(1)
    const link = linkOf(one, { role: 'dial', routes: [here.routes] })
    const back = linkOf(other, { role: 'listen', routes: [there.routes] })
    onTestFinished(() => Promise.all([link.close(), back.close()]).then(() => {}))
    await both(link, back, [here.count, there.count], MESSAGES / 2, MESSAGES > 1_000 ? 1_000 : 8_000)
  })

  it('arrive over two functions, and over a Unix socket that only this user can open', async () => {
    const [one, other] = line()
    const { routes } = hashing()
    const chunks = one[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
    const pipe = duplexFrom({
      read: async () => (await chunks.next()).value,
      write: (bytes) => new Promise((resolve) => one.write(bytes, resolve)),
      close: () => one.destroy(),
    })
    const link = linkOf(pipe, { role: 'dial' })
    const back = linkOf(other, { role: 'listen', routes: [routes] })
    onTestFinished(() => Promise.all([link.close(), back.close()]).then(() => {}))
    expect(await link.call('/echo', RANDOM)).toEqual(RANDOM)

    const folder = mkdtempSync(join(tmpdir(), 'piko-link-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'link.sock')
    await serving({ path, routes: [routes] })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const local = await dialled({ url: `piko+unix:${path}` })
    expect(await local.call('/echo', 'hello')).toBe('hello')
  })

  it('a file that is not the socket of an ended process is never deleted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-link-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'data.csv')
    writeFileSync(path, 'precious')
    await expect(serving({ path, routes: [] })).rejects.toMatchObject({ code: 'LINK_LISTEN_FAILED' })
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })
})
