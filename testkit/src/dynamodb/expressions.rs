//! As much of DynamoDB's language as the function uses: `SET a = :x, b = :y REMOVE c`, on a condition of comparisons with AND and OR.

use serde_json::Value;

/// The item after the update of this `call`; `None` if its condition does not hold.
///
/// # Panics
/// The expression is none of those.
pub fn update(call: &Value, mut item: Value) -> Option<Value> {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let condition = text("ConditionExpression");
    let holds = condition.split(" OR ").any(|all| {
        let mut terms = all.split(" AND ");
        terms.all(|term| is_true(call, term.trim(), &item))
    });
    if !condition.is_empty() && !holds {
        return None;
    }
    let fields = item.as_object_mut().expect("an item");
    let expression = text("UpdateExpression");
    let (set, remove) = match expression.split_once("REMOVE ") {
        Some((set, remove)) => (set, remove),
        None => (expression, ""),
    };
    let list = |text: &'static str, from: &str| -> Vec<String> {
        let from = from.trim().trim_start_matches(text);
        let each = from.split(", ").map(str::trim);
        each.filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect()
    };
    for assignment in list("SET ", set) {
        let (to, from) = assignment.split_once(" = ").expect("an assignment");
        fields.insert(name(call, to), value(call, from).clone());
    }
    for removed in list("REMOVE ", remove) {
        fields.remove(&name(call, &removed));
    }
    Some(item)
}

/// One comparison of an attribute that is a text.
fn is_true(call: &Value, term: &str, item: &Value) -> bool {
    if let Some(rest) = term.strip_prefix("attribute_not_exists(") {
        return item.get(name(call, rest.trim_end_matches(')'))).is_none();
    }
    let [left, operator, right] = term.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{term}");
    };
    let left = item[name(call, left)]["S"].as_str();
    let right = value(call, right)["S"].as_str();
    match operator {
        // An attribute that is not there compares with nothing.
        _ if left.is_none() => false,
        "=" => left == right,
        "<=" => left <= right,
        _ => panic!("{term}"),
    }
}

/// The attribute that is meant, by its name or a placeholder.
fn name(call: &Value, text: &str) -> String {
    let meant = &call["ExpressionAttributeNames"][text];
    meant.as_str().unwrap_or(text).to_owned()
}

fn value<'a>(call: &'a Value, placeholder: &str) -> &'a Value {
    let value = &call["ExpressionAttributeValues"][placeholder];
    assert!(!value.is_null(), "{placeholder} has no value");
    value
}
