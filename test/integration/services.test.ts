import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { eventually } from '../support/app.ts'
import { freePort } from '../support/mysql-server.ts'

const example = fileURLToPath(new URL('../../examples/services.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

it('the page-view cache starts as a tree, ticks, serves, draws itself and stops on Ctrl-C', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-services-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  // The example uses the port after it too.
  const port = await freePort(2)
  const svg = join(folder, 'services.svg')
  const child = spawn(
    process.execPath,
    ['--conditions=piko-source', '--import', 'tsx', example, '--port', String(port), '--svg', svg],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  // Not `exit`: its last lines come before `close`.
  const exit = once(child, 'close')
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const places = (word: string): string[] =>
    output
      .split('\n')
      .flatMap((line) => /(\[\^-*\w+\]): (\w+)\.\.\.$/.exec(line)?.slice(1, 3).join(' ') ?? [])
      .filter((line) => line.endsWith(word))

  await eventually(() => expect(output).toContain('listening on'))
  const socket = new WebSocket(`ws://127.0.0.1:${port + 1}`)
  await once(socket, 'open')
  const told = once(socket, 'message')
  expect(await (await fetch(`http://127.0.0.1:${port}/view/ada`)).text()).toBe('ada was viewed 1 times\n')
  expect(String((await told)[0])).toBe('{"user":"ada","views":1}')
  await eventually(() => expect(output).toContain('[^--UserCache]: 1 views of 1 users'))
  expect(readFileSync(svg, 'utf8')).toMatch(/<svg[\s\S]*WebSockets[\s\S]*<\/svg>/)

  child.kill('SIGINT')
  expect(await exit).toEqual([0, null])
  const tree = ['[^Worker]', '[^-App]', '[^--UserCache]', '[^--WebSockets]', '[^--WebServer]']
  expect(places('Starting')).toEqual(tree.map((place) => `${place} Starting`))
  expect(places('Stopping').sort()).toEqual(tree.map((place) => `${place} Stopping`).sort())
})
