// wechatpay-axios-plugin and our SDK understand each other in API v2.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import wechatpay from 'wechatpay-axios-plugin';
import { clients, mailbox, open, openID } from './fenhao.mjs';

const { Formatter, Hash, Transformer, Wechatpay } = wechatpay;

let fenhao;
before(async () => { fenhao = await open(); });
after(() => fenhao?.close());

const key = '192006250b4c09247ec02edce69f6a2d';
const who = { merchant_id: '1900000001', app_id: 'wx8888888888888888', apiv2_key: key };

// Values that signing or XML has gone wrong with. The SDK's XML writer can't carry blanks at the ends nor "]]>", and its
// reader trims, so these are in the Go tests alone.
const hard = {
  attach: '桌号=7&加糖=否', detail: '{"goods_name":"咖啡 <大杯> \\"冰\\" & \'x\'"}', emoji: '😀', fee: '0', number: '007', a: '=', A: 'upper case', zz: '%E5%92%96+',
};

for (const type of ['MD5', 'HMAC-SHA256']) {
  describe(type, () => {
    const sign = (fields) => Hash.sign(type, fields, key);

    test('signatures', async () => {
      for (const fields of [hard, { one: '1' }, { ...hard, empty: '', sign: 'X' }]) {
        assert.equal(await fenhao.ask('v2_sign', { ...who, sign_type: type, fields }), sign(fields));
      }
    });

    test('our request', async () => {
      const { sent } = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: hard, body: '' });
      const read = Transformer.toObject(sent);
      const { sign: signature, nonce_str: nonce, ...rest } = read;
      assert.deepEqual(rest, { ...hard, appid: who.app_id, mch_id: who.merchant_id, sign_type: type });
      assert.match(nonce, /^\w{16,32}$/);
      assert.equal(signature, sign(read));
    });

    test("the SDK's answer", async () => {
      const answer = { ...hard, return_code: 'SUCCESS', result_code: 'SUCCESS', appid: who.app_id, mch_id: who.merchant_id, nonce_str: Formatter.nonce() };
      const xml = (fields) => Transformer.toXml({ ...fields, sign: sign(answer) });
      const taken = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: {}, body: xml(answer) });
      assert.deepEqual(taken.read, { ...answer, sign: sign(answer) });
      const altered = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: {}, body: xml({ ...answer, fee: '1' }) });
      assert.match(altered.refused ?? '', /sign/);
    });

    test('pay parameters', async () => {
      const timestamp = Formatter.timestamp();
      const { paySign, ...p } = await fenhao.ask('v2_pay', { ...who, sign_type: type, prepay_id: 'wx201410272009395522657a690389285100', timestamp, nonce: Formatter.nonce() });
      assert.deepEqual(Object.keys(p).sort(), ['appId', 'nonceStr', 'package', 'signType', 'timeStamp']);
      assert.equal(paySign, sign(p));
    });
  });
}

describe('at the sandbox', () => {
  for (const type of ['MD5', 'HMAC-SHA256']) {
    for (const [way, config] of Object.entries(clients(() => fenhao))) {
      test(`a purchase ${way}, ${type}`, async (t) => {
        const m = fenhao.merchant;
        const shop = new Wechatpay({
          mchid: m.id, serial: m.certificate_serial, privateKey: m.private_key, certs: { [m.public_key_id]: m.public_key }, secret: m.apiv2_key, ...await config(),
        });
        const box = await mailbox();
        t.after(() => box.close());
        const user = '小明';
        const common = { appid: m.apps[0].id, mch_id: m.id, sign_type: type };
        const number = `AXIOS-${type}-${way.length}`;
        const order = {
          ...common, body: '咖啡 "大杯" & <冰>', out_trade_no: number, attach: '桌号=7&加糖=否', notify_url: box.url, total_fee: 1999,
          spbill_create_ip: '14.23.150.211', trade_type: 'JSAPI', openid: await openID(fenhao, user),
        };
        const query = (no) => shop.v2.pay.orderquery({ ...common, out_trade_no: no });

        await assert.rejects(query(number), ({ response }) => response?.data?.err_code === 'ORDERNOTEXIST');
        const { data: { prepay_id: prepayID } } = await shop.v2.pay.unifiedorder(order);
        assert.equal((await query(number)).data.trade_state, 'NOTPAY');
        const phone = {
          appId: common.appid, timeStamp: `${Formatter.timestamp()}`, nonceStr: Formatter.nonce(), package: `prepay_id=${prepayID}`, signType: type,
        };
        const paid = await fenhao.control('POST', 'request-payment', {
          app_id: common.appid, user, ...phone, paySign: Hash.sign(type, phone, m.apiv2_key), action: 'pay',
        });
        assert.equal(paid.errMsg, 'requestPayment:ok', paid.reason);

        const told = Transformer.toObject((await box.next()).body);
        assert.equal(told.sign, Hash.sign(type, told, m.apiv2_key));
        assert.deepEqual(
          [told.out_trade_no, told.result_code, told.total_fee, told.attach, told.openid, told.mch_id],
          [number, 'SUCCESS', '1999', order.attach, order.openid, m.id],
        );
        const asked = (await query(number)).data;
        assert.deepEqual([asked.transaction_id, asked.trade_state], [told.transaction_id, 'SUCCESS']);
        await assert.rejects(shop.v2.pay.closeorder({ ...common, out_trade_no: number }), ({ response }) => response?.data?.err_code === 'ORDERPAID');

        const other = { ...order, out_trade_no: `${number}-2` };
        await shop.v2.pay.unifiedorder(other);
        await fenhao.control('POST', 'clock', { advance: '6m' }); // WeChat Pay closes orders after five minutes
        await shop.v2.pay.closeorder({ ...common, out_trade_no: other.out_trade_no });
        assert.equal((await query(other.out_trade_no)).data.trade_state, 'CLOSED');
      });
    }
  }
});
