-- values for fields of the record that texts show, on sentences with their answers; suggestions, and what people do with them
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.competitor, revops.field_suggestion, revops.suggestion_cursor, revops.opportunity;
TRUNCATE revops.person, revops.account CASCADE;
ALTER SEQUENCE revops.suggestion_seq RESTART;
INSERT INTO revops.competitor VALUES ('Salesforce', '{SFDC,"Sales Force"}'), ('纷享销客', '{纷享}'), ('Acme', '{"Acme Corp"}'), ('用友', '{Yonyou}'), ('SAP', '{思爱普}');

-- sentences seen from Wednesday, 18 March 2026, and what they show with a confidence of 0.5 or more
CREATE TABLE sentence (n serial, body text NOT NULL, answer text NOT NULL);
INSERT INTO sentence (body, answer) VALUES
-- budgets in Chinese
('我们的预算大概30万左右', 'budget=300000 CNY'),
('预算三十万', 'budget=300000 CNY'),
('这个项目批了二百五十万元', 'budget=2500000 CNY'),
('预算在30到50万之间', 'budget=500000 CNY'),
('预算30w以内都可以谈', 'budget=300000 CNY'),
('经费只有八万', 'budget=80000 CNY'),
('大概就四五十万的盘子', 'budget=500000 CNY'),
('预算三五万', 'budget=50000 CNY'),
('老板说最多出15万', 'budget=150000 CNY'),
('总投入控制在一百二十万以内', 'budget=1200000 CNY'),
('预算是3.5万', 'budget=35000 CNY'),
('預算大約二十萬元', 'budget=200000 CNY'),
('预算：５０万', 'budget=500000 CNY'),
('我们准备花两百万做这件事', 'budget=2000000 CNY'),
('预算一千万，分两期', 'budget=10000000 CNY'),
('预算1.2亿', 'budget=120000000 CNY'),
('预算不超过3万5', 'budget=35000 CNY'),
('预算80000元', 'budget=80000 CNY'),
('预算是50000', 'budget=50000'),
('这块的预算有10万美元', 'budget=100000 USD'),
('预算20万到30万', 'budget=300000 CNY'),
('额度给到了￥450,000', 'budget=450000 CNY'),
('预算三万五千块', 'budget=35000 CNY'),
('我们能出60万', 'budget=600000 CNY'),
('财务给这个项目拨了90万', 'budget=900000 CNY'),
('预算30多万', 'budget=300000 CNY'),
('资金盘子就是一百五十万人民币', 'budget=1500000 CNY'),
('预算五百万港币', 'budget=5000000 HKD'),
('一共可以花12万块钱', 'budget=120000 CNY'),
('预算80个W', 'budget=800000 CNY'),
('预算大概八十个w吧', 'budget=800000 CNY'),
('预算80w', 'budget=800000 CNY'),
('预算是2个亿左右', 'budget=200000000 CNY'),
('预算半个亿', 'budget=50000000 CNY'),
-- budgets in English
('We have a budget of $25k for this', 'budget=25000 USD'),
('Our budget is around 1.5M', 'budget=1500000'),
('USD 1,200,000 has been approved', 'budget=1200000 USD'),
('There is half a million dollars in the budget', 'budget=500000 USD'),
('twenty-five thousand dollars is what we can spend', 'budget=25000 USD'),
('We can spend up to €40,000', 'budget=40000 EUR'),
('The budget is between 20k and 30k', 'budget=30000'),
('Budget: $20k-$30k', 'budget=30000 USD'),
('We set aside 80 thousand pounds', 'budget=80000 GBP'),
('Funding of 2 million is secured', 'budget=2000000'),
('It is capped at $75,000.', 'budget=75000 USD'),
('We allocated 300K for the pilot', 'budget=300000'),
('Our annual budget is $120k/year', 'budget=120000 USD'),
('The budget is 50 grand', 'budget=50000'),
('Our budget is half a million', 'budget=500000'),
('Budget: half-a-million dollars', 'budget=500000 USD'),
('The budget is a quarter million', 'budget=250000'),
('We have a budget of a couple hundred thousand dollars', 'budget=200000 USD'),
('the approved budget is US$ 60,000', 'budget=60000 USD'),
('Budget is 50000', 'budget=50000'),
('a hundred thousand dollars is our budget', 'budget=100000 USD'),
('We can afford 15,000 euros', 'budget=15000 EUR'),
-- no budgets
('我的电话13812345678', ''),
('订单号20260318001麻烦查一下', ''),
('你们报价30万太贵了', ''),
('我们有30万用户', ''),
('公司一共300人，2000台设备', ''),
('去年营收3000万', ''),
('已经付了20万首付款', ''),
('型号是X2000，编号100086', ''),
('合同号HT-2025-0318', ''),
('发票金额12万元', ''),
('优惠5万可以吗', ''),
('QQ 123456789 加我', ''),
('千万别忘了把资料发我', ''),
('我万一没空就让同事来', ''),
('还没有预算', ''),
('预算还没批', ''),
('你们的客户有500家吧', ''),
('每个账号300元/月太贵', ''),
('Your quote of $30k is too high', ''),
('We have 30k users', ''),
('Call me at 555-123-4567', ''),
('PO 4500012345 is attached', ''),
('order number 1002003004', ''),
('Our revenue was $5M', ''),
('We paid the $20k invoice', ''),
('The server has 10,000 requests per second', ''),
('Version 2.1.3 crashed', ''),
('I live 20 miles away', ''),
('There is no budget', ''),
('It costs us $5 per seat', ''),
('Room 2001, meeting id 998877', ''),
('salary is 80k', ''),
('预算里有80个wifi热点', ''),
('a couple of people asked', ''),
-- dates in Chinese
('计划下个季度上线', 'timeline=2026-06-30'),
('月底前必须签合同', 'timeline=2026-03-31'),
('Q3上线', 'timeline=2026-09-30'),
('明年三月启动采购', 'timeline=2027-03-31'),
('2026年6月30日前交付', 'timeline=2026-06-30'),
('国庆前上线', 'timeline=2026-09-30'),
('春节前签约', 'timeline=2027-02-05'),
('三个月内落地', 'timeline=2026-06-18'),
('半年内完成替换', 'timeline=2026-09-18'),
-- two or three of them; what goes beyond a budget, or was it before
('两三个月内上线', 'timeline=2026-06-18'),
('三五天内要定下来', 'timeline=2026-03-23'),
('一两周内要', 'timeline=2026-04-01'),
('超预算10万', ''),
('over budget by $10k', ''),
('预算缺口20万', ''),
('预算从20万增加到35万', 'budget=350000 CNY'),
('上线时间从6月改到9月', 'timeline=2026-09-30'),
('年底之前要验收', 'timeline=2026-12-31'),
('20号前下单', 'timeline=2026-03-20'),
('10号前要下单', 'timeline=2026-04-10'),
('下周五之前要把合同签掉', 'timeline=2026-03-27'),
('这周五前定下来', 'timeline=2026-03-20'),
('下个月启动招标', 'timeline=2026-04-30'),
('下月中旬开标', 'timeline=2026-04-20'),
('5月底交货', 'timeline=2026-05-31'),
('五月底交货', 'timeline=2026-05-31'),
('6月18日上线', 'timeline=2026-06-18'),
('两周内必须决定', 'timeline=2026-04-01'),
('10天内要到货', 'timeline=2026-03-28'),
('明年上半年实施', 'timeline=2027-06-30'),
('今年年底前完成切换', 'timeline=2026-12-31'),
('明年初再采购', 'timeline=2027-03-31'),
('明年年中上线', 'timeline=2027-07-31'),
('年中之前要签', 'timeline=2026-07-31'),
('go live in early 2027', 'timeline=2027-03-31'),
('第二季度签约', 'timeline=2026-06-30'),
('四季度上线', 'timeline=2026-12-31'),
('2027年第一季度投产', 'timeline=2027-03-31'),
('双十一前必须上线', 'timeline=2026-11-11'),
('合同到期是9月30号，之前要换掉', 'timeline=2026-09-30'),
('計劃下個季度上線', 'timeline=2026-06-30'),
('最晚4月15号签', 'timeline=2026-04-15'),
('采购计划在2026-05-20之前定标', 'timeline=2026-05-20'),
('希望一个半月内部署完', 'timeline=2026-05-03'),
('后年才会替换系统', 'timeline=2028-12-31'),
('年内一定要落地', 'timeline=2026-12-31'),
('下半年采购', 'timeline=2026-12-31'),
('大概三个月后上线', 'timeline=2026-06-18'),
('4月前要上线', 'timeline=2026-03-31'),
('下季度初启动', 'timeline=2026-04-30'),
-- dates in English
('we need to go live by end of March', 'timeline=2026-03-31'),
('within two weeks we must decide', 'timeline=2026-04-01'),
('decision in the next two months', 'timeline=2026-05-18'),
('launch in May', 'timeline=2026-05-31'),
('We have to sign by June 15th, 2026', 'timeline=2026-06-15'),
('before Christmas we want to be live', 'timeline=2026-12-24'),
('Go-live is planned for Q3', 'timeline=2026-09-30'),
('We want to buy next quarter', 'timeline=2026-06-30'),
('We plan to purchase in Q1 2027', 'timeline=2027-03-31'),
('The contract must be in place by end of year', 'timeline=2026-12-31'),
('rollout starts in early April', 'timeline=2026-04-10'),
('rollout by mid-April', 'timeline=2026-04-20'),
('We will decide by Friday', 'timeline=2026-03-20'),
('need it delivered within 30 days', 'timeline=2026-04-17'),
('Implementation in the second half of the year', 'timeline=2026-12-31'),
('we must launch by 2026-07-01', 'timeline=2026-07-01'),
('The deadline is 15 April', 'timeline=2026-04-15'),
('signing by EOM', 'timeline=2026-03-31'),
('Our target is 1st of June 2026 for the launch', 'timeline=2026-06-01'),
('deploy before May', 'timeline=2026-04-30'),
('We want to start six weeks from now', 'timeline=2026-04-29'),
('we buy next year', 'timeline=2027-12-31'),
-- no plans: what is past, what is a meeting
('上周我们已经签了', ''),
('去年三月上线的', ''),
('昨天收到货了', ''),
('下周三开会', ''),
('明天下午三点通个电话', ''),
('2025年6月30日已经验收', ''),
('三天前发的货', ''),
('上个月底就交付了', ''),
('今天天气不错', ''),
('每周五例会', ''),
('用了三年了', ''),
('We signed last week', ''),
('we went live two months ago', ''),
('Can we meet next Tuesday?', ''),
('Talk to you tomorrow', ''),
('It was delivered on 3 January 2026', ''),
('I may call you', ''),
('They march on', ''),
-- who decides
('这事最终王总拍板', 'decision_maker=王总'),
('我们李总说了算', 'decision_maker=李总'),
('需要采购总监李明审批', 'decision_maker=采购总监李明'),
('最后由CTO决定', 'decision_maker=CTO'),
('选型是技术总监定，王董点头就行', 'decision_maker=王董'),
('合同要董事长签字才算', 'decision_maker=董事长'),
('王小明拍板', 'decision_maker=王小明'),
('這件事最終由陳總拍板', 'decision_maker=陳總'),
('要上董事会审批', 'decision_maker=董事会'),
('决策人是我们副总裁', 'decision_maker=副总裁'),
('our CFO Jane Smith signs off on everything', 'decision_maker=CFO Jane Smith'),
('The final decision is made by our VP of Engineering', 'decision_maker=VP of Engineering'),
('Sarah has the final say', 'decision_maker=Sarah'),
('The board must approve it', 'decision_maker=The board'),
('I need approval from the managing director', 'decision_maker=managing director'),
('Our decision maker is the CEO', 'decision_maker=CEO'),
('Tom Baker, our CIO, makes the call', 'decision_maker=CIO'),
('The IT director decides', 'decision_maker=IT director'),
-- and who does not
('不是王总说了算', ''),
('谁拍板？', ''),
('不用李总签字', ''),
('王总昨天来过', ''),
('我们决定先试用', ''),
('Who signs off on this?', ''),
('The CFO does not decide this', ''),
('Our CTO joined the call', ''),
('We decided to wait', ''),
-- competitors
('我们也在对比纷享和Salesforce', 'competitor=Salesforce; competitor=纷享销客'),
('we currently use SFDC', 'competitor=Salesforce'),
('用友的方案更便宜', 'competitor=用友'),
('Acme Corp quoted less', 'competitor=Acme'),
('acme corporation is another company', 'competitor=Acme'),
('思爱普太贵，不考虑', 'competitor=SAP'),
('disappointed by the sap-like look', 'competitor=SAP'),
('ASAP please', ''),
('sapling and Acmes', ''),
('ＳＡＰ也来报过价', 'competitor=SAP'),
-- a number is read as a whole
('budget is .5 million dollars', 'budget=500000 USD'),
('budget is $.5M', 'budget=500000 USD'),
('budget of 1,5 million euros', 'budget=1500000 EUR'),
('budget is $2,5M', 'budget=2500000 USD'),
('budget is one point five million dollars', 'budget=1500000 USD'),
('budget is one point two million dollars', 'budget=1200000 USD'),
('budget is two and a half million dollars', 'budget=2500000 USD'),
('budget is a million and a half dollars', 'budget=1500000 USD'),
('budget is half million dollars', 'budget=500000 USD'),
('budget is 3 hundred thousand dollars', 'budget=300000 USD'),
('budget is 2 hundred dollars', 'budget=200 USD'),
('budget is $5-million', 'budget=5000000 USD'),
('budget is a couple hundred k', 'budget=200000'),
('budget is 1 million 200 thousand dollars', 'budget=1200000 USD'),
('budget is one million, two hundred thousand dollars', 'budget=1200000 USD'),
('budget is between one and two million dollars', 'budget=2000000 USD'),
('budget of 1,50,000 rupees', 'budget=150000 INR'),
('budget is CHF 150''000', 'budget=150000 CHF'),
('预算2千5百万', 'budget=25000000 CNY'),
('预算3万零5百', 'budget=30500 CNY'),
('预算3万5000', 'budget=35000 CNY'),
('预算1千2百元', 'budget=1200 CNY'),
('预算一点五万', 'budget=15000 CNY'),
('预算20余万', 'budget=200000 CNY'),
('预算30多w', 'budget=300000 CNY'),
('预算三十到五十万', 'budget=500000 CNY'),
('预算三十万五十万都行', 'budget=300000 CNY; budget=500000 CNY'),
-- what follows a sum is no part of it
('预算30万5月上线', 'budget=300000 CNY; timeline=2026-05-31'),
('预算30万2026年上线', 'budget=300000 CNY; timeline=2026-12-31'),
('预算30万5台设备', 'budget=300000 CNY'),
('预算30万13812345678', 'budget=300000 CNY'),
('预算3万元旦前上线', 'budget=30000 CNY; timeline=2026-12-31'),
('budget of $2M for 50k users', 'budget=2000000 USD'),
('budget is 5k, 10 seats', 'budget=5000'),
-- and where it cannot be read, no part of it is told
('预算几十万', ''),
('预算好几十万', ''),
('预算数百万', ''),
('预算几百万', ''),
('预算上百万', ''),
('预算上十万', ''),
('预算百八十万', ''),
('预算一百几十万', ''),
('预算三万到几十万', ''),
('budget is several million', ''),
('budget is a few hundred thousand', ''),
('our budget is millions', ''),
('budget is point five million dollars', ''),
('budget 1/2 million dollars', ''),
('budget is two thirds of a million', ''),
('budget is a million five', ''),
('budget 150.000 EUR', ''),
('budget 1.200.000 EUR', ''),
('10千瓦的设备有预算', ''),
-- spaces in sums
('预算 100 万', 'budget=1000000 CNY'),
('预算 ¥2 万', 'budget=20000 CNY'),
('预算 1 亿 2000 万', 'budget=120000000 CNY'),
('budget 20 K', 'budget=20000'),
('budget 50 000 EUR', 'budget=50000 EUR'),
('budget of $1 200 000', 'budget=1200000 USD'),
('budget 3 500 seats', ''),
('预算 30 万 5 台设备', 'budget=300000 CNY'),
-- currencies; one that is not known is not another
('budget HK$50k', 'budget=50000 HKD'),
('budget A$50k', 'budget=50000 AUD'),
('budget AU$50k', 'budget=50000 AUD'),
('budget S$50k', 'budget=50000 SGD'),
('budget C$50k', 'budget=50000 CAD'),
('budget CA$50k', 'budget=50000 CAD'),
('budget NT$50k', 'budget=50000 TWD'),
('budget US$50k', 'budget=50000 USD'),
('budget R$50k', 'budget=50000 BRL'),
('budget Z$50k', 'budget=50000'),
('budget $50k CAD', 'budget=50000 CAD'),
('budget is $50,000 Canadian', 'budget=50000 CAD'),
('预算30万（美元）', 'budget=300000 USD'),
('budget USD $50k', 'budget=50000 USD'),
('budget CHF50,000', 'budget=50000 CHF'),
('budget of KRW 50,000,000', 'budget=50000000 KRW'),
('budget of 50k Australian dollars', 'budget=50000 AUD'),
('budget of 50k Hong Kong dollars', 'budget=50000 HKD'),
('budget of 50k Swiss francs', 'budget=50000 CHF'),
('预算2万澳元', 'budget=20000 AUD'),
('预算2万澳币', 'budget=20000 AUD'),
('预算2万加元', 'budget=20000 CAD'),
('预算2万加币', 'budget=20000 CAD'),
('预算2万韩元', 'budget=20000 KRW'),
('预算2万新台币', 'budget=20000 TWD'),
('预算2万台币', 'budget=20000 TWD'),
('预算2万新加坡元', 'budget=20000 SGD'),
('预算2万新币', 'budget=20000 SGD'),
('预算2万港元', 'budget=20000 HKD'),
('预算2万瑞郎', 'budget=20000 CHF'),
('预算2万欧', 'budget=20000 EUR'),
('预算2万英镑', 'budget=20000 GBP'),
('预算2万日元', 'budget=20000 JPY'),
('预算2万刀', 'budget=20000 USD'),
('预算2万外币', 'budget=20000'),
('预算2万比特币', 'budget=20000'),
('预算2万USDT', 'budget=20000'),
('预算三十万円', 'budget=300000 JPY'),
('预算2万欧洲项目用', 'budget=20000 CNY'),
('预算2万刀具采购', 'budget=20000 CNY'),
-- a price for each, and what is spent in a year
('budget of $5k/month', ''),
('budget $30k a month', ''),
('monthly budget of $5k', ''),
('budget per month is $5k', ''),
('budget of $50k per seat', ''),
('each team has a $50k budget', ''),
('每月预算3万', ''),
('预算每人5000元', ''),
('预算3万元/人', ''),
('预算3万一个月', ''),
('人均预算5000元', ''),
('月预算3万', ''),
('3月批了预算30万', 'budget=300000 CNY; timeline=2026-03-31'),
('每年预算30万', 'budget=300000 CNY'),
('预算30万/年', 'budget=300000 CNY'),
('annual budget of 300k', 'budget=300000'),
('budget of 300k per year', 'budget=300000'),
('预算50万一个月内上线', 'budget=500000 CNY; timeline=2026-04-18'),
('预算50万，每个部门都同意', 'budget=500000 CNY'),
('budget is $50k/€45k', 'budget=45000 EUR; budget=50000 USD'),
-- years of quarters; halves; the day before a holiday; days that do not exist
('go live Q4 2027', 'timeline=2027-12-31'),
('we need it Q1 2027', 'timeline=2027-03-31'),
('go live 2027 Q2', 'timeline=2027-06-30'),
('go live Q4/2027', 'timeline=2027-12-31'),
('go live FY27 Q2', 'timeline=2027-06-30'),
('launch Q4 ''27', 'timeline=2027-12-31'),
('launch Q3 next year', 'timeline=2027-09-30'),
('go live Q3, 2000 seats', 'timeline=2026-09-30'),
('Q2-Q3 2027 go live', 'timeline=2027-09-30'),
('国庆节前上线', 'timeline=2026-09-30'),
('go live 2027 H1', 'timeline=2027-06-30'),
('go live in a year and a half', 'timeline=2027-09-18'),
('go live in two and a half years', 'timeline=2028-09-18'),
('go live within a month and a half', 'timeline=2026-05-03'),
('一年半内上线', 'timeline=2027-09-18'),
('元旦前上线', 'timeline=2026-12-31'),
('五一前上线', 'timeline=2026-04-30'),
('go live by 2027-06', 'timeline=2027-06-30'),
('go live by 2027-02-29', ''),
('go live by 30 February', ''),
('2027年2月29日前上线', ''),
('2月30日前上线', ''),
-- several at once
('预算50万，王总拍板，Q3上线，也在看用友', 'budget=500000 CNY; competitor=用友; decision_maker=王总; timeline=2026-09-30'),
('Budget is $40k, our CFO signs off, and we want to launch by end of June; we also compared SAP',
 'budget=40000 USD; competitor=SAP; decision_maker=CFO; timeline=2026-06-30'),
('', ''), ('   ', ''), ('？！', '');
CREATE VIEW shown AS
SELECT s.n, s.body, s.answer, coalesce(string_agg(f.field || '=' || f.value, '; ' ORDER BY f.field, f.value COLLATE "C"), '') AS got
FROM sentence s LEFT JOIN revops.extract_fields(s.body, '2026-03-18 09:00+00') f ON f.confidence >= 0.5
GROUP BY s.n, s.body, s.answer;
SELECT count(*), count(*) >= 150 AS enough, count(*) FILTER (WHERE answer = '') AS negative FROM sentence;
SELECT body, answer, got FROM shown WHERE got <> answer ORDER BY n;

-- where the words are, and how sure it is
SELECT * FROM revops.extract_fields('您好，预算大概是 ３０万，王总拍板，最晚下个月底上线', '2026-03-18 09:00+00');
SELECT field, value, confidence, evidence FROM revops.extract_fields('$45,000', '2026-03-18 09:00+00');
SELECT field, value, confidence, evidence FROM revops.extract_fields('预算是不是30万？', '2026-03-18 09:00+00');
-- beside a negation, of the sum or of the budget; a bound is none, nor is one in another clause
SELECT t AS text, (SELECT string_agg(f.value || ' ' || f.confidence, ', ') FROM revops.extract_fields(t, '2026-03-18 09:00+00') f) AS budget
FROM unnest(ARRAY['we do not have a budget of $50k', 'we don''t have the full $50k budget', 'there is no budget of $50k', '$50k is not our budget', 'our budget is not $50k', '我们没有50万的预算', '我们没有这么多预算50万',
    '50万不是我们的预算', '没有预算，50万拿不出', '预算不到50万', '预算不能超过50万', '预算不含税50万', 'the budget cannot exceed $50k', 'we don''t have time, the budget is $50k', 'not $30k but a budget of $50k', '没问题 预算50万']) t;
SELECT field, value FROM revops.extract_fields('下周五之前签', '2026-12-31 23:00+00');
SELECT * FROM revops.extract_fields(NULL);
SELECT * FROM revops.extract_fields('x', 'infinity');
-- competitors are known as soon as they are written
SELECT value FROM revops.extract_fields('我们也在看金蝶');
INSERT INTO revops.competitor VALUES ('金蝶');
SELECT value FROM revops.extract_fields('我们也在看金蝶');
-- texts that are none: bounded, and quick enough to be here
SELECT n, count(f.field) FROM (VALUES (1, repeat('王总拍板 ', 100000)), (2, repeat('预算30万', 100000)), (3, repeat('一二三四五六七八九十百千万亿', 50000)),
    (4, repeat('in the next two ', 50000)), (5, repeat('9', 100000)), (6, repeat(E'\u00e9\u4e07\U0001F600', 20000)), (7, repeat('下下下周一月底前', 20000))) v (n, body)
LEFT JOIN LATERAL revops.extract_fields(v.body, '2026-03-18 09:00+00') f ON true GROUP BY n ORDER BY n;

-- texts that end anywhere
SELECT count(*) > 1000 AS some FROM sentence, generate_series(1, length(body)) k, LATERAL (SELECT * FROM revops.extract_fields(left(body, k), '2026-03-18') UNION ALL
    SELECT * FROM revops.extract_fields(right(body, k), '2026-03-18')) f;

-- suggestions
SET revops.as_of = '2026-03-18 12:00+00';
INSERT INTO revops.account (account) VALUES ('A'), ('B');
INSERT INTO revops.person (person, account) VALUES ('pa', 'A'), ('pb', 'B');
INSERT INTO revops.opportunity (opportunity, account, status) VALUES ('o1', 'A', 'open'), ('o2', 'B', 'open'), ('o3', 'B', 'open'), ('o4', 'A', 'won');
SELECT count(revops.track(kind => 'message', person => p, opportunity => o, side => s, channel => 'wecom', body => b, occurred_at => t::timestamptz, event_id => ('00000000-0000-0000-0000-0000000000' || n)::uuid))
FROM (VALUES ('01', 'pa', NULL, 'customer', '预算大概30万', '2026-03-18 09:00+00'), ('02', 'pa', NULL, 'customer', '预算30万，下个季度上线，也在看用友和金蝶', '2026-03-18 10:00+00'),
    ('03', 'pa', NULL, 'customer', '预算可以加到50万', '2026-03-18 11:00+00'), ('04', 'pb', NULL, 'customer', '预算80万', '2026-03-18 09:00+00'),
    ('05', 'pb', 'o3', 'customer', '我们刘总拍板', '2026-03-18 09:00+00'), ('06', 'pa', NULL, 'rep', '您的预算是100万吗，王总拍板', '2026-03-18 09:30+00'),
    ('07', 'pa', 'none', 'customer', '预算70万', '2026-03-18 09:00+00')) v (n, p, o, s, b, t);
SELECT revops.suggest_fields();
SELECT revops.suggest_fields(), revops.suggest_fields('2026-01-01');
SELECT opportunity, field, rank, value, confidence, mentions, suggestion, evidence, span, present, stale FROM revops.open_suggestion;
-- accepted: written to the record; the same value of another event with it; a later value may follow
SELECT revops.accept_suggestion(1, 'li.na');
SELECT suggestion, value, status, decided_by, former FROM revops.field_suggestion WHERE opportunity = 'o1' AND field = 'budget' ORDER BY 1;
SELECT properties FROM revops.opportunity WHERE opportunity = 'o1';
SELECT revops.accept_suggestion(1, 'li.na');
SELECT revops.accept_suggestion(NULL, 'li.na');
SELECT revops.accept_suggestion(1, '');
SELECT revops.refuse_suggestion(999, 'li.na');
SELECT revops.refuse_suggestion(1, NULL);
-- competitors are added to each other
SELECT revops.accept_suggestion(suggestion, 'li.na') FROM revops.open_suggestion WHERE opportunity = 'o1' AND field = 'competitor' ORDER BY value;
SELECT properties ->> 'competitor' AS competitor FROM revops.opportunity WHERE opportunity = 'o1';
-- what a person has set since is left alone
SELECT revops.set_field('opportunity', 'o1', 'budget', '450000 CNY');
SELECT value, present, stale FROM revops.open_suggestion WHERE opportunity = 'o1' AND field = 'budget';
SELECT revops.accept_suggestion(suggestion, 'li.na') FROM revops.open_suggestion WHERE opportunity = 'o1' AND field = 'budget';
SELECT properties ->> 'budget' AS budget FROM revops.opportunity WHERE opportunity = 'o1';
-- refused: not suggested again with that value, and with another one
SELECT revops.refuse_suggestion(suggestion, 'li.na', 'heard wrong') FROM revops.open_suggestion WHERE opportunity = 'o3';
SELECT count(revops.track(kind => 'message', opportunity => 'o3', side => 'customer', body => b, occurred_at => '2026-03-18 11:30+00'))
FROM (VALUES ('刘总拍板'), ('张总拍板')) v (b);
SELECT revops.suggest_fields();
SELECT value FROM revops.open_suggestion WHERE opportunity = 'o3';
SELECT opportunity, field, value, status, decided_by, reason FROM revops.field_suggestion ORDER BY suggestion;
-- an older text that comes later is found, and an older value is of no interest once a newer one is accepted
SELECT count(revops.track(kind => 'message', opportunity => 'o2', side => 'customer', body => b, occurred_at => t::timestamptz))
FROM (VALUES ('预算20万', '2026-03-17 11:30+00'), ('预算改成25万了', '2026-03-18 11:30+00')) v (b, t);
SELECT revops.suggest_fields();
SELECT revops.accept_suggestion(suggestion, 'li.na') FROM revops.open_suggestion WHERE opportunity = 'o2' AND value = '250000 CNY';
SELECT value, status, reason FROM revops.field_suggestion WHERE opportunity = 'o2' ORDER BY 1;
-- the cursor survives another database's: all of the last weeks once more, and nothing twice
UPDATE revops.suggestion_cursor SET epoch = epoch + 1;
SELECT revops.suggest_fields();
DROP VIEW shown;
DROP TABLE sentence;
RESET revops.as_of;
-- sums with 亿 and 万, ranges, sums that are no round binary number, years of two digits
SELECT t AS text, (SELECT string_agg(f.field || ' ' || f.value, ', ' ORDER BY f.field, f.value) FROM revops.extract_fields(t, '2026-03-18 09:00Z') f) AS value
FROM unnest(ARRAY['预算一亿两千万', '预算1亿2000万', '预算3万5千', '预算一万亿', '预算5-8万', '预算30-40万', 'budget is 50-60k', 'budget $1.2-1.5M', '预算$50k-60k', 'budget 50,000-60,000 USD',
    'budget of $2.01M', '预算1.14万', '27年6月上线', '28年3月上线']) t;
