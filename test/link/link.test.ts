import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { dialled, peerProcess } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('a link between two processes', () => {
  it('calls, streams and uploads, cancels, and continues', async () => {
    const { url } = await peerProcess()
    const link = await dialled({ url })
    expect(await link.call('/test/echo', { hello: ['wörld', 1, null] })).toEqual({ hello: ['wörld', 1, null] })

    const seen: unknown[] = []
    for await (const item of link.stream('/test/count', 3_000)) seen.push(item)
    expect(seen).toEqual(Array.from({ length: 3_000 }, (_, index) => index))

    const bytes = randomBytes(5_000_000)
    expect(await link.send('/test/hash', Readable.from(pieces(bytes)))).toBe(sha256(bytes))
    expect(await link.call('/test/echo', bytes)).toEqual(bytes)

    const aborter = new AbortController()
    const slow = link.call('/test/slow', undefined, { signal: aborter.signal })
    aborter.abort(new Error('changed my mind'))
    await expect(slow).rejects.toThrow('changed my mind')
    await expect(link.call('/test/slow', undefined, { timeout: '50ms' })).rejects.toMatchObject({
      code: 'LINK_TIMEOUT',
    })
    // The first call was cancelled before it was sent at all.
    await vi.waitUntil(async () => (await link.call('/test/aborted')) === 1, { timeout: PATIENCE_MS })

    // To leave a stream cancels it.
    for await (const item of link.stream('/test/count', 1e9)) if (item === 100) break
    await vi.waitUntil(() => link.stats().open === 0, { timeout: PATIENCE_MS })

    // A reply that is read whole ends its request.
    expect(await (await link.open('/test/echo', { small: true })).json()).toEqual({ small: true })
    expect(link.stats().open).toBe(0)

    await expect(link.call('/test/fail')).rejects.toMatchObject({
      code: 'LINK_FAILED',
      details: { status: 500, body: { code: 'INTERNAL', message: 'the handler failed' } },
    })
    await expect(link.call('/test/none')).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
    expect(await link.call('/test/echo', 'still here')).toBe('still here')
  })

  it('fails calls in progress when the other process is killed, and says whether they had been sent', async () => {
    const { url, child } = await peerProcess()
    const link = await dialled({ url })
    const slow = link.call('/test/slow')
    await link.call('/test/echo')
    child.kill('SIGKILL')
    await expect(slow).rejects.toMatchObject({ code: 'LINK_LOST', details: { route: '/test/slow', sent: true } })
    expect(link.state).toBe('down')
  })
})

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}
