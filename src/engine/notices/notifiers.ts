import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { Notifier } from '../../notice/notice.ts'
import { email } from '../../notify/email.ts'
import { slack } from '../../notify/slack.ts'
import { webhook } from '../../notify/webhook.ts'
import type { OptionCheck } from '../../options.ts'
import type { Settings } from '../../settings/settings.ts'

const NAME = /^[\w.-]{1,64}$/

export const aNotifier: OptionCheck = (value) => {
  const isOne = isObject(value) && typeof propertyOf(value, 'send') === 'function'
  const name = isOne ? propertyOf(value, 'name') : undefined
  if (isOne && typeof name === 'string' && NAME.test(name)) return undefined
  return isOne
    ? `has the name ${describe(name)}; expected 1 to 64 letters, digits or any of _ - .`
    : `is ${describe(value)}; expected a notifier such as webhook({ url: 'https://example.com/hook' })`
}

/**
 * Returns the notifiers of the options and of the `[notify]` settings.
 *
 * @throws PikoError `USAGE` if two have the same name; `SETTINGS_INVALID` if a setting is missing
 */
export function notifiersOf(own: readonly Notifier[], settings: Settings['notify']): Notifier[] {
  const { link, webhookUrl, webhookSecret, slackUrl, smtpUrl, emailFrom, emailTo } = settings
  const all = [...own]
  if (webhookUrl !== '')
    all.push(webhook({ url: webhookUrl, link, ...(webhookSecret !== '' && { secret: webhookSecret }) }))
  if (slackUrl !== '') all.push(slack({ url: slackUrl, link }))
  if (smtpUrl !== '') {
    if (emailFrom === '' || emailTo.length === 0) {
      throw new PikoError(
        'SETTINGS_INVALID',
        '[notify] smtp_url needs email_from and email_to; add them, such as email_from = "piko@example.com" and email_to = ["data@example.com"]',
      )
    }
    all.push(email({ smtp: smtpUrl, from: emailFrom, to: emailTo, link }))
  }
  const names = all.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice === undefined) return all
  throw new PikoError(
    'USAGE',
    `two notifiers have the name ${describe(twice)}; give one of them another name, such as webhook({ name: 'ops', … })`,
    { details: { name: twice } },
  )
}
