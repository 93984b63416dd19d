import { expect, it } from 'vitest';
import { ConstraintSyntaxError, parseConstraint, satisfies } from './constraints.ts';

const OFFER = {
  name: 'paris (eu)',
  mem: 7.5,
  cores: 8,
  version: '0.10.2',
  public: true,
  caps: ['inet', 'vpn'],
  'url?': 'https://a*b',
};

it.each([
  ['', true],
  ['(&)', true],
  ['(|)', false],
  ['(mem=7.5)', true],
  ['(mem=7.50)', true],
  ['(mem>=7.5)', true],
  ['(mem>7.5)', false],
  ['(mem<10)', true],
  ['(mem<=7.4)', false],
  ['(mem>=many)', false],
  ['(cores>=16)', false],
  ['(version>=0.9.5)', true],
  ['(version<0.10.10)', true],
  ['(public=true)', true],
  ['(name=paris \\(eu\\))', true],
  ['(name=par*)', true],
  ['(name=*eu*)', true],
  ['(name=rome*)', false],
  ['(url?=https://a\\*b)', true],
  ['(url?=https://c\\*b)', false],
  ['(caps=vpn)', true],
  ['(caps=gpu)', false],
  ['(caps=*)', true],
  ['(other=*)', false],
  ['(!(other=*))', true],
  ['(&(caps=inet)\n\t(caps=vpn))', true],
  ['(&(caps=inet)(|(cores>100)(mem>100)))', false],
  ['(|(cores>100)(mem>7))', true],
])('%j is %s of an offer', (text, matches) => {
  expect(satisfies(OFFER, parseConstraint(text))).toBe(matches);
});

it.each(['(', 'mem=1', '(mem=1', '(mem=1))', '(&(mem=1)', '(!(a=1)(b=1))', '(mem)'])(
  '%j is not understood',
  (text) => {
    expect(() => parseConstraint(text)).toThrow(ConstraintSyntaxError);
  },
);
