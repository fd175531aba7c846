import { suite } from 'uvu'
import { openRequest, type SubmitRequest } from '../../../library/request.js'
import { rejects } from '../../support/rejects.js'

const requests = suite('openRequest')

requests('what a program without types leaves out is refused as any other mistake', async () => {
  const refused = (given: unknown, why: RegExp) => rejects(openRequest(given as SubmitRequest), why)
  await refused(undefined, /a request has a task/)
  await refused({ source: { count: 1 } }, /a request has a task/)
  await refused({ task: 'primes' }, /a request has a source/)
  await refused({ task: 'primes', source: null }, /a request has a source/)
  await refused({ task: 'primes', source: {} }, /exactly one of/)
})

requests.run()
