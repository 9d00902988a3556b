import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { chunksOf } from '../../src/link/message/chunks-of.ts'

async function all(stream: Readable): Promise<unknown[]> {
  const chunks: unknown[] = []
  for await (const chunk of chunksOf(stream)) chunks.push(chunk)
  return chunks
}

it('yields the chunks of a stream themselves, not a copy that joins them', async () => {
  const pushed = [Buffer.alloc(70_000, 1), Buffer.alloc(70_000, 2), Buffer.alloc(1, 3)]
  const stream = new Readable({ read() {} })
  for (const chunk of [...pushed, null]) stream.push(chunk)
  const chunks = await all(stream)
  expect(chunks.length).toBe(3)
  for (const [at, chunk] of chunks.entries()) expect(chunk).toBe(pushed[at])
})

it('reads a stream that its owner has paused, or reads in another way', async () => {
  const paused = Readable.from([Buffer.from('a'), Buffer.from('b')], { objectMode: false }).pause()
  expect(await all(paused)).toHaveLength(2)
  const heard = Readable.from([Buffer.from('a')], { objectMode: false }).on('readable', () => {})
  expect(await all(heard)).toHaveLength(1)
})

it('does not read far ahead of its reader, and destroys the stream when the reader leaves', async () => {
  let made = 0
  const stream = new Readable({
    read() {
      made++
      this.push(Buffer.alloc(65_536))
    },
  })
  for await (const chunk of chunksOf(stream)) {
    expect((chunk as Buffer).length).toBe(65_536)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    break
  }
  expect(made).toBeLessThan(8)
  expect(stream.destroyed).toBe(true)
})

it('yields what came before a failure, and then throws it', async () => {
  const stream = new Readable({ read() {} })
  stream.push(Buffer.from('a'))
  const chunks: unknown[] = []
  const reading = (async () => {
    for await (const chunk of chunksOf(stream)) {
      chunks.push(chunk)
      stream.destroy(new Error('the disk is gone'))
    }
  })()
  await expect(reading).rejects.toThrow('the disk is gone')
  expect(chunks).toEqual([Buffer.from('a')])
})

it('swallows the failure of a stream that is destroyed because its reader left', async () => {
  const stream = new Readable({
    read() {
      this.push(Buffer.from('a'))
    },
    destroy(_error, done) {
      done(new Error('the file could not be closed'))
    },
  })
  // An error event without a listener would be an uncaught exception, and fail this test file.
  for await (const chunk of chunksOf(stream)) {
    expect(chunk).toEqual(Buffer.from('a'))
    break
  }
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
  expect(stream.errored?.message).toBe('the file could not be closed')
})
