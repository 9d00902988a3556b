import { Readable } from 'node:stream'
import { dial } from 'piko/link'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { ABOUT, bulk, BULK_BYTES, bulkSpeed, callsPerSecond } from './measures.ts'

export default async function piko(config: SystemConfig): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('peer.ts', import.meta.url), { kind: 'piko' })
  await using link = await dial({ url: `piko://127.0.0.1:${await peer.told('port')}` })
  const calls = await callsPerSecond(Number(config['calls']), (index) => link.call('/echo', { index }))
  const speed = await bulkSpeed(async () => {
    const bytes = await link.send('/count', Readable.from(bulk(), { objectMode: false }), { level: 2 })
    if (bytes !== BULK_BYTES) throw new Error(`only ${String(bytes)} bytes arrived`)
  })
  return {
    about: ABOUT,
    values: { 'small calls': { value: calls, unit: 'calls/s' }, bulk: { value: speed, unit: 'MB/s' } },
  }
}
