import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { attached } from '../../../src/cli/process/attached.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../support/source-process.ts'

const PROCESS = fileURLToPath(new URL('../../fixtures/engine/attached.ts', import.meta.url))

it('piko attach writes a snapshot of the heap to a new file of this user alone, or none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-attach-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const socket = join(folder, 'piko.sock')
  const child = spawn(process.execPath, [...SOURCE_FLAGS, PROCESS, socket], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const take = (heap: string) => attached(socket, { what: 'tree', logLevel: undefined, heap })

  const heap = join(folder, 'of it.heapsnapshot')
  const { bytes } = (await take(heap)) as { bytes: number }
  const text = readFileSync(heap, 'utf8')
  const { snapshot } = JSON.parse(text) as { snapshot: { node_count: number } }
  expect(snapshot.node_count).toBeGreaterThan(1_000)
  expect([statSync(heap).mode & 0o777, bytes]).toEqual([0o600, Buffer.byteLength(text)])

  for (const wrong of [heap, join(folder, 'no folder/of it.heapsnapshot'), folder])
    await expect(take(wrong)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(`can't be written to ${wrong}`) as string,
    })
  const late = take(join(folder, 'late.heapsnapshot'))
  child.kill('SIGKILL')
  await expect(late).rejects.toMatchObject({ code: expect.stringMatching(/^LINK_/) as string })
  expect(readdirSync(folder).toSorted()).toEqual(['of it.heapsnapshot', 'piko.sock'])
})
