import { useEffect, useState } from 'preact/hooks'
import { durationText } from '../shared/format.ts'

/** Describes a schedule in a sentence. */
export function useWords(schedule: unknown): string {
  const [words, setWords] = useState('…')
  const text = JSON.stringify(schedule ?? null)
  useEffect(() => {
    let isCurrent = true
    void wordsOf(schedule).then((found) => isCurrent && setWords(found))
    return () => {
      isCurrent = false
    }
  }, [text])
  return words
}

async function wordsOf(schedule: unknown): Promise<string> {
  if (typeof schedule !== 'object' || schedule === null) return 'It runs only on request.'
  if ('cron' in schedule) {
    const { default: cronstrue } = await import('cronstrue')
    const options = { throwExceptionOnParseError: false, use24HourTimeFormat: true }
    const all = Array.isArray(schedule.cron) ? schedule.cron : [schedule.cron]
    return all.map((one) => cronstrue.toString(String(one), options)).join(', and ')
  }
  if ('everyMs' in schedule && typeof schedule.everyMs === 'number') return `Every ${durationText(schedule.everyMs)}`
  if ('every' in schedule) return `Every ${String(schedule.every)}`
  if ('at' in schedule) return `Once, at ${String(schedule.at)}`
  return 'See below.'
}
