import { Readable } from 'node:stream'
import { dial } from 'piko/link'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import { ABOUT, bulk } from './measures.ts'

export const GIGABYTE = 1_073_741_824

/** The memory of a process that does nothing else than to receive 1 GB into a file. */
export default async function file(): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('file-peer.ts', import.meta.url), ['piko'], { isLean: true })
  await using link = await dial({ url: `piko://127.0.0.1:${await peer.told('port')}` })
  const before = Number(await link.call('/rss'))
  const whole = (await link.send('/file', Readable.from(bulk(GIGABYTE), { objectMode: false }), { level: 2 })) as {
    bytes: number
    rss: number
  }
  if (whole.bytes !== GIGABYTE) throw new Error(`only ${whole.bytes} bytes arrived`)
  return {
    about: ABOUT,
    values: {
      'peak RSS while receiving 1 GB': { value: whole.rss / 1_000_000, unit: 'MB' },
      'RSS before the upload': { value: before / 1_000_000, unit: 'MB' },
    },
  }
}
