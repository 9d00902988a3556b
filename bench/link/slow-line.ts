import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { dial, type Link } from 'piko/link'
import { NodeProcess } from '../harness/node-process.ts'
import { percentile } from '../harness/percentile.ts'
import type { Found } from '../harness/rounds.ts'
import { ABOUT } from './measures.ts'

/** The speed of the line in bytes per millisecond. */
const LINE = 20_000
const BULK_EACH = 268_435_456
const LASTS_MS = 10_000
const MAX_LATE_MS = 20

/** Urgent calls behind four bulk streams, over a proxy that lets 20 MB/s through. */
export default async function slowLine(): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('peer.ts', import.meta.url), { kind: 'piko' })
  const proxy = createServer({ pauseOnConnect: true }, (near) => {
    const far = connect(Number(port), '127.0.0.1')
    void throttled(near, far)
    void throttled(far, near)
  })
  const port = await peer.told('port')
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  await using link = await dial({ url: `piko://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  const behind = await urgentBehindBulk(link)
  const share = await bulkBesideUrgent(link)
  link.destroy()
  proxy.close()
  return {
    about: ABOUT,
    values: {
      'urgent call, p50': { value: percentile(behind.took, 50), unit: 'ms' },
      'urgent call, p99': { value: percentile(behind.took, 99), unit: 'ms' },
      'bulk during urgent calls': { value: behind.speed, unit: 'MB/s' },
      'share of level 2 while level 0 is saturated': { value: share, unit: '% of the bytes' },
    },
  }
}

async function throttled(from: Socket, to: Socket): Promise<void> {
  for (const socket of [from, to]) socket.on('error', () => {})
  let freeAtMs = performance.now()
  try {
    for await (const chunk of from) {
      // A late timer is made up for, otherwise the line would be slower than it says.
      freeAtMs = Math.max(freeAtMs, performance.now() - MAX_LATE_MS) + (chunk as Buffer).length / LINE
      const waitMs = freeAtMs - performance.now()
      if (waitMs > 1) await sleep(waitMs)
      to.write(chunk as Buffer)
    }
  } catch {
    // One end has closed, which ends the measurement.
  } finally {
    to.destroy()
  }
}

async function read(link: Link, level: 0 | 2, until: number): Promise<number> {
  let bytes = 0
  for await (const chunk of link.stream('/bulk', BULK_EACH, { level })) {
    bytes += (chunk as Buffer).length
    if (performance.now() > until) break
  }
  return bytes
}

async function urgentBehindBulk(link: Link): Promise<{ took: number[]; speed: number }> {
  const until = performance.now() + LASTS_MS
  const streams = Array.from({ length: 4 }, () => read(link, 2, until))
  await sleep(1_000)
  const took: number[] = []
  while (performance.now() < until - 200) {
    const from = performance.now()
    await link.call('/echo', { now: from }, { level: 0 })
    took.push(performance.now() - from)
    await sleep(5)
  }
  const bytes = (await Promise.all(streams)).reduce((sum, one) => sum + one, 0)
  return { took, speed: bytes / 1_000 / LASTS_MS }
}

async function bulkBesideUrgent(link: Link): Promise<number> {
  const until = performance.now() + LASTS_MS / 2
  const bulk = read(link, 2, until)
  const urgent = Array.from({ length: 4 }, () => read(link, 0, until))
  const [low, ...high] = await Promise.all([bulk, ...urgent])
  return (100 * low) / (low + high.reduce((sum, one) => sum + one, 0))
}
