import { SingleBar } from 'cli-progress'

/** Shows progress: a bar on a terminal, otherwise a line at each tenth. */
export interface Progress {
  update(done: number): void
  note(text: string): void
  stop(): void
}

const WIDTH = 40
const count = new Intl.NumberFormat('en')

export function showProgress(total: number, print: (line: string) => void): Progress {
  return process.stdout.isTTY ? bar(total, print) : lines(total, print)
}

function bar(total: number, print: (line: string) => void): Progress {
  const bar = new SingleBar({
    format: '  {bar} {value} of {total} windows',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: WIDTH,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stdout,
  })
  let value = 0
  bar.start(total, value)
  return {
    update: (done) => bar.update((value = done)),
    note(text) {
      bar.stop()
      print(text)
      bar.start(total, value)
    },
    stop: () => bar.stop(),
  }
}

function lines(total: number, print: (line: string) => void): Progress {
  let printed = 0
  return {
    update(done) {
      const tenth = Math.floor((done / total) * 10)
      if (tenth <= printed) return
      printed = tenth
      print(`  ${count.format(done)} of ${count.format(total)} windows`)
    },
    note: print,
    stop: () => {},
  }
}
