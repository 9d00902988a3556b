import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { dial } from 'piko/link'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import { ABOUT, bulk, callsPerSecond } from './measures.ts'

const GIGABYTE = 1_073_741_824
const IDLE_MS = 20_000

/** Memory and CPU that a link may not use. */
export default async function bounds(): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('peer.ts', import.meta.url), { kind: 'piko' })
  await using link = await dial({ url: `piko://127.0.0.1:${await peer.told('port')}` })
  const rate = await callsPerSecond(5_000, (index) => link.call('/echo', index))
  const before = Number(await link.call('/rss'))
  const stalled = link.stream('/bulk', GIGABYTE, { level: 2 })
  await stalled.next()
  const besideRate = await callsPerSecond(5_000, (index) => link.call('/echo', index))
  const grown = Number(await link.call('/rss')) - before
  await stalled.return(undefined)

  // Others may have been left by a process that was killed.
  const others = spooled()
  const aborter = new AbortController()
  const sending = link.send('/file', Readable.from(bulk(GIGABYTE), { objectMode: false }), {
    level: 2,
    signal: aborter.signal,
  })
  await sleep(500)
  const filesBefore = spooled() - others
  const abortedAt = performance.now()
  aborter.abort()
  await Promise.allSettled([sending])
  while (spooled() > others) await sleep(1)
  const goneMs = performance.now() - abortedAt

  const cpu = async (): Promise<number> => {
    const { user, system } = (await link.call('/cpu')) as NodeJS.CpuUsage
    return user + system
  }
  const cpuBefore = await cpu()
  await sleep(IDLE_MS)
  const idle = ((await cpu()) - cpuBefore) / (IDLE_MS * 1_000)
  return {
    about: ABOUT,
    values: {
      'growth of the RSS of the sender, reader stopped': { value: grown / 1_000_000, unit: 'MB' },
      'small calls, reader stopped, compared with before': { value: (100 * besideRate) / rate, unit: '%' },
      'temporary files during the upload': { value: filesBefore, unit: 'files' },
      'time until an aborted upload has left no file': { value: goneMs, unit: 'ms' },
      'CPU of an idle connection': { value: idle * 100, unit: '% of a core' },
    },
  }
}

function spooled(): number {
  return readdirSync(tmpdir()).filter((name) => /^piko-link-\w{6}$/.test(name)).length
}
