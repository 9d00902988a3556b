import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import { ABOUT, bulk, bulkHash, bulkSpeed } from './measures.ts'

/** The bulk over a bare socket, with SHA-256 at both ends. */
export default async function socket(): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('peer.ts', import.meta.url), { kind: 'socket' })
  const port = Number(await peer.told('port'))
  const expected = bulkHash()
  const speed = await bulkSpeed(async () => {
    const bare = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const hash = createHash('sha256')
    for (const piece of bulk()) {
      hash.update(piece)
      if (!bare.write(piece)) await once(bare, 'drain')
    }
    bare.end()
    if ((await text(bare)) !== expected || hash.digest('hex') !== expected) throw new Error('the bulk arrived damaged')
  })
  return {
    about: ABOUT,
    values: { bulk: { value: speed, unit: 'MB/s' } },
  }
}
