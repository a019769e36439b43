/*
 * token.c
 *	  One walk that turns a text into tokens: the words of each kind, and what begins a date, a sum or a name.
 */
#include "text/token.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define LEAST_AMOUNT	100

typedef struct CueGroup
{
	TokenKind	kind;
	const char *words;
} CueGroup;

static const CueGroup cues[] = {
	{CUE_BUDGET, "预算,经费,拨款,拨了,专项资金,资金,投入,批了,批下来,额度,盘子,控制在,不超过,最多出,最多能出,能出,打算花,准备花,愿意花,计划花,花个,投个,投资额,封顶,上限,可用资金,"
	"budget*,allocat*,earmark*,set aside,spend,spending,invest up to,capped at,cap of,at most,no more than,up to,funding,funds,approved,afford,ceiling of,willing to pay,can pay,put aside,we have about,we have around"},
	{CUE_PRICE, "报价,价格,售价,单价,标价,开价,要价,原价,收费,卖,房价,发票,开票,付款,付了,已付,欠,尾款,首付,定金,押金,订金,回款,货款,营收,收入,营业额,销售额,产值,利润,年薪,月薪,工资,薪水,罚款,违约金,退款,运费,优惠,便宜,打折,"
		"减免,省了,节省,赔,奖金,合同额,合同金额,市值,估值,融资,注册资本,贵,"
		"quote*,price*,pricing,invoice*,paid,payment*,owe*,owed,refund*,deposit*,revenue*,turnover,salary,salaries,profit*,penalty,fine of,fee,fees,shipping,discount*,off the,save,saves,saved,savings,cheaper,costs us,valuation,raised,"
	"worth of,list at,charged,bill,billed,bonus,arr,mrr,market cap,expensive"},
	{CUE_NUMBER, "订单号,单号,订单,编号,电话,手机,手机号,热线,座机,传真,工号,合同号,发票号,账号,帐号,卡号,身份证,邮编,qq,微信,微信号,运单,快递单,工单,版本,型号,房间,会议号,密码,验证码,税号,"
	"order number,order no,order,po,ticket,case number,ref,reference,phone,tel,call me at,call me on,mobile,fax,ext,extension,invoice number,invoice no,account number,serial,sku,part number,part no,zip,passcode,meeting id,pin,version,model,room,code,id"},
	{CUE_PLAN, "上线,采购,立项,招标,投标,开标,签约,签合同,签下,签,下单,订货,落地,实施,部署,启用,投产,投入使用,交付,交货,到货,验收,切换,定下来,定标,定,决定,决策,买,购买,启动,开工,完成,搞定,拿下,敲定,选型,替换,更换,续约,续费,到期,需要,要用,用上,截止,最晚,最迟,计划,"
		"目标,时间表,排期,推进,开业,"
		"go live,going live,go-live,went live,purchase*,buy,buying,procure*,sign,signed,signing,contract,order by,place the order,decide*,decision,deciding,launch*,roll out,rollout,rolling out,implement*,deploy*,deliver*,install*,kick off,kickoff,start,starting,begin,in place,"
	"up and running,ready by,need it,need this,need to,needs to,must,deadline,timeline,target*,plan,plans,planning,finish*,complete*,wrap up,close,closed,migrate*,migration,renew*,expires,expire,choose,pick a vendor,select*,hope to,aim*,want to,live by,live in"},
	{CUE_MEET, "开会,会议,见面,拜访,来访,电话会,通话,聊,约,演示,参观,出差,请假,休假,放假,吃饭,回复,答复,联系,发您,发给,沟通,碰头,面谈,培训,到公司,过来,生日,"
	"meet,meeting*,call,calls,demo,demos,chat,lunch,dinner,coffee,visit*,webinar,catch up,talk,speak,vacation,holiday,out of office,ooo,pto,reply,get back to,follow up,send you,sync,conference,training,birthday"},
	{CUE_DECIDE, "拍板,说了算,说的算,做主,作主,拿主意,定夺,决策人,最终决定,最后决定,做决定,下决定,来决定,决定权,话语权,点头,签字才,签字后,最终审批,最后审批,一支笔,终审,批准才,同意才,拍的板,"
		"final say,last word,sign off,signs off,sign-off,sign it off,signing off,decision maker,decision-maker,makes the decision,makes the decisions,makes the call,makes the final,make the decision,makes all,final decision,final approval,final call,calls the shots,"
		"holds the budget,controls the budget,owns the budget,decides,has to approve,must approve,needs to approve,will approve,approves,gives the green light,green light from,economic buyer,decision lies with,decision rests with,decision is made by,decided by,has to sign,must sign,needs to sign,"
	"signature of,signature from,approval of,approval from,approval by,approved by,blessing,pulls the trigger"},
	{CUE_MAY_DECIDE, "决定,审批,批准,签字,签批,过目,同意,负责采购,负责选型,负责这个项目,牵头,负责人是,汇报,"
	"is in charge,in charge of,responsible for,up to our,up to the,lies with,rests with,leads the evaluation,leading the evaluation,runs procurement,is leading"},
	{CUE_COMPARE, "对比,比较,相比,比你们,跟你们比,和你们比,也在看,在看,也在谈,在谈,也联系了,报的,用的是,在用,目前用,现在用,用过,换掉,替换,考察,试用,测试,方案,竞品,倾向,更喜欢,还有一家,另一家,别家,找了,约了,来过,推荐,"
	"compar*,versus,vs,than,also talking to,talking to,talking with,looking at,evaluat*,considering,shortlist*,offer from,offered,proposal from,currently use,currently using,using,we use,replace,replacing,switch*,incumbent,alternative,pilot*,trial*,demo from,against,prefer*,between,competitor,instead of,contract with"},
	{CUE_NOT, "不是,没有,并非,不用,不需要,无需,不归,不管,不负责,不由,做不了主,拍不了板,定不了,说了不算,不能决定,不会,不考虑,排除,没考虑,还没,不到,无,没,不,没人,谁都,"
	"not,n't,isn't,doesn't,don't,won't,no,never,nobody,without,can't,cannot,ruled out,rule out,no longer,neither,nor,no need"},
	{CUE_ASK, "谁,哪位,哪个,什么时候,何时,多少,吗,呢,是否,who,whose,when,whether,how much,what is your,what's your,do you have"},
	{CUE_PAST, "去年,上次,当时,以前,曾经,曾,之前的,过去,历史,旧,was,were,had,ago,previous,previously,last time,used to,back then,former,formerly"},
	{CUE_EACH, "每,人均,月均,日均,台均,单人,单月,月度,按月,月预算,周预算,日预算,monthly,weekly,daily,hourly,quarterly,each,every month,every week,every day,every quarter,per seat,per user,per month,per person,per head,"
	"per unit,per day,per week,per hour,per quarter,per employee,per license,per licence,per site,per store,per capita"},
	{TOKEN_TITLE, "总,董,工,总监,经理,主任,部长,处长,局长,科长,院长,校长,厂长,所长,行长,老师,博士,教授,书记,市长,副总,总经理,董事长,总裁,主管,女士,先生,老板"},
	{TOKEN_ROLE, "总经理,副总经理,总裁,副总裁,董事长,副董事长,董事会,老板,老板娘,老大,老总,大老板,大领导,领导,一把手,总监,技术总监,采购总监,财务总监,信息总监,市场总监,销售总监,运营总监,人事总监,生产总监,研发总监,产品总监,it总监,"
		"首席执行官,首席技术官,首席财务官,首席信息官,首席运营官,采购经理,项目经理,技术经理,部门经理,it经理,财务经理,区域经理,采购部,财务部,法务部,信息部,技术部,it部,it部门,信息中心,采购委员会,评审委员会,委员会,集团总部,集团,总部,分管副总,副总,主管副总,部长,处长,科长,局长,"
		"主任,院长,校长,厂长,所长,行长,区长,科室主任,分管领导,合伙人,创始人,股东,股东会,党委,办公会,总经办,采购主管,财务主管,高层,高管,管理层,我老婆,我先生,采购,财务,"
		"ceo,cto,cfo,cio,coo,cmo,cpo,ciso,cro,cdo,svp,evp,vp,vice president,president,chairman,chairwoman,chair,founder,co-founder,owner,managing director,general manager,director,head of it,head of sales,head of procurement,head of operations,head of security,head of finance,head of engineering,"
		"head of marketing,head of data,head of product,it director,it manager,finance director,sales director,procurement director,purchasing manager,procurement manager,operations manager,operations director,plant manager,project manager,"
		"vp of engineering,vp of sales,vp of operations,vp of finance,vp of product,vp of marketing,vp of it,vp engineering,vp sales,vp operations,vp finance,director of engineering,director of it,director of operations,director of procurement,director of finance,director of sales,"
		"the board,board of directors,steering committee,buying committee,investment committee,committee,procurement,procurement team,purchasing,purchasing department,finance team,finance department,legal team,legal,my boss,our boss,the boss,my manager,our manager,treasurer,controller,comptroller,superintendent,dean,principal,partner,managing partner,"
	"chief financial officer,chief executive officer,chief technology officer,chief information officer,chief operating officer,headquarters,hq"},
	{CUE_PLAIN, "高层,公司,方案,方面,任何,安排,时候,成本,金额,马上,马总部,项目,应该,单位,计划,程序,常规,明天,明年,经常,白天,黄金,严重,严格,何时,何况,高级,高效,高度,万一,万分,千万,成功,成为,成立,常常,时间,时机,向来,方便,方式,方向,"
		"余额,付款,包括,包含,石油,金融,周期,周末,周一,周二,周三,周四,周五,于是,关于,由于,对于,都是,总是,总之,总共,总体,总价,总部,总额,汇总,工作,工程,工厂,工具,施工,员工,加工,手工,人工,完工,开工,董事,古董,和您,和你,和我,许可,许多,连接,连续,"
	"任务,任意,管理,管控,单独,单价,路线,路径,江苏,江西,计算,计价,毛利,安全,安装,齐全,强调,白名单,钱的,华东,华南,华北,华为,双方,文件,每年,每一年,每财年,每个财年,每次都,没问题,没关系,没事,没想到,不好意思,不客气,不错,each other,no problem,not a problem,no worries,no doubt,终于,左右,古代,党委会,may be,order of,in order to,march on,made up,first of all,second opinion,in total,in general,in addition,in fact,in case,in line,in touch"},
};

static const char *const surnames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦傅方白邹孟熊秦邱江尹薛阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤欧阳";

/* the first characters of dates, of sums, and of surnames: most characters are none, and are passed over at once */
static const char *const when_begins = "今明后大昨前上去刚下这本周星礼当月季年来春过国元五双六圣十一二三四七八九两百半第零〇0123456789abcdefhijlmnoqstuwy";
static const char *const amount_begins = "零〇一二两三四五六七八九十百千几数半人美欧英港日韩澳加新坡台纽瑞泰卢葡马越$¥€£₩₹₽฿.0123456789abcdefghijkmnopqrstuz";

#define BEGINS_WHEN		1
#define BEGINS_AMOUNT	2
#define BEGINS_NAME		4

static Trie *cue_trie = NULL;
static uint8 *begins = NULL;	/* by character, of those below 0x10000 */

static void
MarkBegins(uint8 *table, const char *utf8, int what)
{
	for (const unsigned char *p = (const unsigned char *) utf8; *p != '\0';)
	{
		uint32		c = *p < 0x80 ? *p : *p < 0xE0 ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3F) : (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3F);

		table[c] |= what;
		p += *p < 0x80 ? 1 : *p < 0xE0 ? 2 : 3;
	}
}

static void
MakeTries(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops fields", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Trie	   *t = TrieMake();
	uint8	   *table;

	for (int g = 0; g < lengthof(cues); g++)
		for (const char *p = cues[g].words; *p != '\0';)
		{
			const char *end = strchr(p, ',');
			int			len = end == NULL ? (int) strlen(p) : (int) (end - p);

			/* a title is a role too, where no surname stands before it; that is seen later */
			TrieAdd(t, p, len, g);
			p += len + (end != NULL);
		}
	table = MemoryContextAllocZero(TopMemoryContext, 0x10000);
	MarkBegins(table, when_begins, BEGINS_WHEN);
	MarkBegins(table, amount_begins, BEGINS_AMOUNT);
	MarkBegins(table, surnames, BEGINS_NAME);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	begins = table;
	cue_trie = t;
}

static bool
Begins(const Letters *t, int at, int what)
{
	return at >= 0 && at < t->n && t->c[at] < 0x10000 && (begins[t->c[at]] & what) != 0;
}

static bool
EndsSentence(const Letters *t, int i)
{
	uint32		c = t->c[i];

	return c == 0x3002 || c == '!' || c == '?' || c == ';' || c == '\n' || (c == '.' && (i + 1 >= t->n || t->c[i + 1] == ' ' || t->c[i + 1] == '\n'));
}

static void
AddToken(Walk *s, TokenKind kind, int from, int to, int sentence, int n)
{
	Token	   *k = &s->token[s->ntokens++];

	k->kind = kind;
	k->from = from;
	k->to = to;
	k->sentence = sentence;
	k->n = n;
}

static bool
MayBeginWhen(const Letters *t, int i)
{
	return Begins(t, i, BEGINS_WHEN) && (i == 0 || !IsWordLetter(t->c[i]) || !IsWordLetter(t->c[i - 1]) || (IsDigit(t->c[i]) != IsDigit(t->c[i - 1]) && t->c[i] == 'q'));
}

void
Tokenize(Walk *s, int today, const Trie *competitors)
{
	const Letters *t = s->text;
	int			sentence = 0;
	int			end;

	if (cue_trie == NULL)
		MakeTries();
	s->ntokens = s->namounts = s->nwhens = 0;
	memset(s->asked, 0, sizeof(s->asked));
	for (int i = 0; i < t->n && s->ntokens < EXTRACT_MAX_TOKENS;)
	{
		int			found;
		uint32		c = t->c[i];

		if ((i & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (c == ' ')
		{
			i++;
			continue;
		}
		if (EndsSentence(t, i))
		{
			if (c == '?' && sentence < EXTRACT_MAX_TOKENS)
				s->asked[sentence] = true;
			sentence++;
			i++;
			continue;
		}
		if (competitors != NULL && (found = TrieFind(competitors, t, i, &end)) >= 0)
		{
			AddToken(s, TOKEN_COMPETITOR, i, end, sentence, found);
			i = end;
			continue;
		}
		found = TrieFind(cue_trie, t, i, &end);
		if (found >= 0 && cues[found].kind == CUE_PLAIN)
		{
			/* 周五 hides no surname, and is a day */
			if (!(MayBeginWhen(t, i) && s->nwhens < EXTRACT_MAX_VALUES && WhenAt(t, i, today, &s->when[s->nwhens])))
			{
				i = end;
				continue;
			}
		}
		if (s->nwhens < EXTRACT_MAX_VALUES && MayBeginWhen(t, i) && WhenAt(t, i, today, &s->when[s->nwhens]))
		{
			AddToken(s, TOKEN_WHEN, i, s->when[s->nwhens].end, sentence, s->nwhens);
			i = s->when[s->nwhens++].end;
			continue;
		}
		if (s->namounts < EXTRACT_MAX_VALUES && Begins(t, i, BEGINS_AMOUNT))
		{
			Amount	   *a = &s->amount[s->namounts];
			bool		sum = AmountAt(t, i, a);

			if (sum && a->value >= LEAST_AMOUNT)
				AddToken(s, TOKEN_AMOUNT, i, a->end, sentence, s->namounts++);
			/* no part of a number that cannot be read is one */
			if (sum || a->end > i)
			{
				i = a->end;
				continue;
			}
		}
		/* 王总, 李总监, 王小明总 */
		if (IsHan(c) && Begins(t, i, BEGINS_NAME) && found < 0)
		{
			int			title = TrieFind(cue_trie, t, i + 1, &end);

			if (title >= 0 && (cues[title].kind == TOKEN_TITLE || (cues[title].kind == TOKEN_ROLE && end - i <= 5)) && i + 1 < t->n)
			{
				AddToken(s, TOKEN_NAME, i, end, sentence, 1);
				i = end;
				continue;
			}
		}
		if (found >= 0)
		{
			AddToken(s, cues[found].kind, i, end, sentence, 0);
			i = end;
			continue;
		}
		/* Jane Smith */
		if (t->capital[i] && c >= 'a' && c <= 'z' && (i == 0 || !IsWordLetter(t->c[i - 1])))
		{
			static const char *const plain = " i we he she they the it this that who you our my your his her their and but so if when what where why how a an in on at by for from to of as is are was be do does did can will would hi hello dear thanks thank please yes no ok okay also then there here after before because since once all only just everyone nobody someone regards best ";
			char		word[34] = " ";
			int			n = 1;

			end = i;
			while (end < t->n && (IsWordLetter(t->c[end]) || t->c[end] == '-' || t->c[end] == '\''))
			{
				if (n < 31)
					word[n++] = (char) t->c[end];
				end++;
			}
			word[n++] = ' ';
			word[n] = '\0';
			if (strstr(plain, word) == NULL && n > 4)
			{
				if (s->ntokens > 0 && s->token[s->ntokens - 1].kind == TOKEN_NAME && s->token[s->ntokens - 1].to == i - 1 && s->token[s->ntokens - 1].n == 0)
					s->token[s->ntokens - 1].to = end;
				else
					AddToken(s, TOKEN_NAME, i, end, sentence, 0);
			}
			i = end;
			continue;
		}
		if (IsWordLetter(c))
		{
			while (i < t->n && IsWordLetter(t->c[i]))
				i++;
			/* n't */
			if (t->c[i] == '\'' && t->c[i + 1] == 't' && t->c[i - 1] == 'n' && s->ntokens < EXTRACT_MAX_TOKENS)
			{
				AddToken(s, CUE_NOT, i - 1, i + 2, sentence, 0);
				i += 2;
			}
			continue;
		}
		i++;
	}
}

bool
IsCue(const Letters *t, int at)
{
	int			end;

	return TrieFind(cue_trie, t, at, &end) >= 0;
}

bool
IsSurname(const Letters *t, int at)
{
	return Begins(t, at, BEGINS_NAME);
}
