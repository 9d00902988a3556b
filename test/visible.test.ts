import { describe, expect, it } from 'vitest'
import { visible, visibleBlock, visibleJson, visibleLine } from '../src/visible.ts'
import { prettyPrinter } from '../src/telemetry/pretty.ts'
import { runText } from '../src/cli/output/run-text.ts'
import { table } from '../src/cli/output/table.ts'
import type { Run } from '../src/run/run.ts'

const HOSTILE = 'a\u001b[2Jb\u009b1mc\rd\u202ee\u2066f\u2028g\u007fh\u0000'
const OBEYED = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]/

describe('text from a run', () => {
  it('shows its control characters as escapes', () => {
    expect(visible(HOSTILE)).toBe('a\\u001b[2Jb\\u009b1mc\\rd\\u202ee\\u2066f\\u2028g\\u007fh\\u0000')
    expect(visible('tab\tand\nline stay, as do é, 漢 and 👍')).toBe('tab\tand\nline stay, as do é, 漢 and 👍')
    expect(visibleLine('a\nb')).toBe('a\\nb')
    expect(visibleBlock('a\nb')).toBe('a\n    b')
  })

  it('returns from JSON unchanged', () => {
    expect(visibleJson({ HOSTILE })).not.toMatch(OBEYED)
    expect(JSON.parse(visibleJson({ HOSTILE }))).toEqual({ HOSTILE })
  })

  it('moves no cursor in the log for people, and adds no line there', () => {
    const print = prettyPrinter({ colour: false })
    const line = { time: 0, level: 'error', msg: `${HOSTILE}\n12:00:00.000 INFO: false line`, [HOSTILE]: HOSTILE }
    const err = { type: 'Error', message: HOSTILE, stack: `Error: ${HOSTILE}\n    at x` }
    const text = print(JSON.stringify({ ...line, err }))
    expect(text).not.toMatch(OBEYED)
    expect(text).not.toMatch(/^12:00:00\.000/m)
  })

  it('moves no cursor in tables and in the output about a run', () => {
    expect(table([{ title: 'x', cell: () => `${HOSTILE}\nnext` }], [1])).not.toMatch(OBEYED)
    const error = { name: HOSTILE, message: `${HOSTILE}\nstate     succeeded` }
    const text = runText({
      id: 1,
      jobId: HOSTILE,
      state: 'failed',
      attempt: 1,
      output: HOSTILE,
      error,
    } as unknown as Run)
    expect(text).not.toMatch(OBEYED)
    expect(text).not.toMatch(/^state +succeeded/m)
  })
})
