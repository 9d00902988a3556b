import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, it } from 'vitest'
import { ProgressBar } from '../../src/cli/output/progress-bar.ts'

function newTerminal() {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
  const shown = (): string => stripVTControlCharacters(String(stream.read() ?? ''))
  return { stream, shown }
}

it('shows nothing before the first progress, and passes log lines through', () => {
  const { stream, shown } = newTerminal()
  const bar = new ProgressBar(stream)
  bar.write('a line\n')
  bar.hide()
  expect(shown()).toBe('a line\n')
})

it('keeps each log line whole above the bar', () => {
  const { stream, shown } = newTerminal()
  const bar = new ProgressBar(stream)
  bar.show({ done: 5, total: 20, message: 'orders' })
  bar.write('a line\n')
  expect(shown()).toMatch(/^a line\n.*25% 5\/20 orders/m)
  bar.hide()
  bar.write('the end\n')
  expect(shown()).toMatch(/^the end\n$/)
})

it('counts without a total', () => {
  const { stream, shown } = newTerminal()
  const bar = new ProgressBar(stream)
  bar.show({ done: 1, total: undefined, message: undefined })
  bar.show({ done: 7, total: undefined, message: 'rows' })
  bar.write('a line\n')
  expect(shown()).toContain('7 done rows')
  bar.hide()
})
