import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LogDestination } from '../../src/telemetry/log-destination.ts'
import { eventually } from '../support/app.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { cleanEnv, SOURCE_FLAGS } from '../support/source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/telemetry/noisy.ts', import.meta.url))
/** About 12 MB: more than a pipe and the memory limit together hold. */
const LINES = 6_000
const LIMIT_MS = PATIENCE_MS

/** A named pipe: a reading end that nobody reads yet, and an end for a child. */
function namedPipe(): { reader: number; writer: number } {
  const folder = mkdtempSync(join(tmpdir(), 'piko-pipe-'))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  rmSync(folder, { recursive: true })
  return { reader, writer }
}

type Kind = 'pipe' | 'socket'

/** A process that logs, and a way to start reading its standard error. */
function noisy(kind: Kind, format: 'json' | 'pretty', ...more: readonly string[]) {
  const pipe = kind === 'pipe' ? namedPipe() : undefined
  const child = spawn(process.execPath, [...SOURCE_FLAGS, SCRIPT, String(LINES), format, ...more], {
    env: cleanEnv(),
    stdio: ['pipe', 'pipe', pipe?.writer ?? 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (pipe) closeSync(pipe.writer)
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  let text = ''
  let source: Readable | null = null
  return {
    child,
    ended: once(child, 'exit'),
    turned: () => eventually(() => expect(stdout).toContain('turned'), LIMIT_MS),
    read: () => {
      source = pipe ? new Socket({ fd: pipe.reader, readable: true, writable: false }) : child.stderr
      source?.setEncoding('utf8').on('data', (part: string) => (text += part))
    },
    lines: () => text.split('\n').slice(0, -1),
  }
}

describe('a log whose reader does not read', () => {
  it.each(['pipe', 'socket'] as const)(
    'does not block the event loop, and reports every lost line (%s)',
    async (kind) => {
      const { child, ended, turned, read, lines } = noisy(kind, 'json')
      await turned()
      read()
      await eventually(() => expect(lines().at(-1)).toContain('dropped_lines'), LIMIT_MS)
      child.stdin?.end()
      await ended
      await eventually(() => expect(lines().at(-1)).toContain('last words'), LIMIT_MS)
      const objects = lines().map((line) => JSON.parse(line) as Record<string, unknown>)
      const noise = objects.filter(({ msg }) => msg === 'noise')
      expect(noise.map(({ line }) => line)).toEqual(noise.map((_, index) => index))
      const notice = objects.find((object) => 'dropped_lines' in object)
      expect(notice).toMatchObject({ level: 'warn', dropped_lines: LINES - noise.length })
      expect(noise.length).toBeLessThan(LINES)
    },
    300_000,
  )

  it.each(['pipe', 'socket'] as const)(
    'does not block the event loop after a process with the same standard error was started (%s)',
    async (kind) => {
      const { child, ended, turned, read } = noisy(kind, 'json', 'beside another')
      await turned()
      read()
      child.stdin?.end()
      await ended
    },
    300_000,
  )

  it.each(['pipe', 'socket'] as const)(
    'does not keep the process alive (%s)',
    async (kind) => {
      const { child, ended, turned } = noisy(kind, 'pretty')
      await turned()
      child.stdin?.end()
      expect(await ended).toEqual([0, null])
    },
    300_000,
  )

  it('writes at the exit of the process what its reader takes in time', async () => {
    const { child, ended, turned, read, lines } = noisy('socket', 'pretty')
    await turned()
    child.stdin?.end()
    read()
    await ended
    await eventually(() => expect(lines().length).toBeGreaterThan(1_000), LIMIT_MS)
  })
})

describe('a log that cannot be written', () => {
  it.each([
    ['a file that is open for reading', '/dev/null', 'r'],
    ['a full disk', '/dev/full', 'w'],
    ['a device that fails', '/proc/self/mem', 'r+'],
  ])('counts dropped lines: %s', (_what, path, flags) => {
    const fd = openSync(path, flags)
    onTestFinished(() => closeSync(fd))
    const log = new LogDestination({ fd })
    let notices = 0
    log.onDropped = () => {
      notices += 1
      log.write('notice\n')
    }
    log.write('one\n')
    log.write('two\n')
    expect({ dropped: log.dropped, notices }).toEqual({ dropped: 2, notices: 0 })
  })
})
